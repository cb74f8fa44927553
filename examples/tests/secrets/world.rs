//! The server and its client, and all that they leave behind.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{KeyPair, SmartHttpServer, SshServer};

use super::api::Api;
use super::processes::Watch;
use super::runs::{Run, push_targets, runs, with_passwords};
use super::search::{Search, Secret};
use super::support::{example, printed};
use super::upstreams::{Upstreams, scalar, seed};
use super::wait_until;

/// A server with everything that it can be told, its upstreams, and what was said by whom.
pub(crate) struct World {
    /// Database, repositories, temporary files and the log.
    data: tempfile::TempDir,
    upstreams: Upstreams,
    runs: Vec<Run>,
    /// Push targets, and whether they take what they are given.
    targets: Vec<(String, bool)>,
    stalled: (SmartHttpServer, String),
    stalled_ssh: (SshServer, String),
    server: Child,
    url: String,
    metrics: SocketAddr,
    watch: Watch,
    api: Api,
    organisation: i32,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl World {
    pub(crate) fn new(engine: &str, log_format: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut upstreams = Upstreams::new();
        let (runs, targets) = (runs(&mut upstreams), push_targets(&mut upstreams));
        let (stalled, stalled_ssh) = (stalled(&mut upstreams), stalled_ssh(&mut upstreams));

        let made =
            printed(&example("client", data.path()).args(["token", "me", "--role", "*=admin"]).output().unwrap());
        let (token, entry) = made.split_once('\n').unwrap();
        upstreams.secret(Secret::of("token of the client", token.as_bytes()));
        upstreams.config_file("token", token);
        let service = upstreams.authority.issue("localhost");
        upstreams.secret(scalar("key of the service", &fs::read_to_string(&service.key).unwrap()));
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for name in ["tmp", "repositories"] {
            fs::create_dir(data.path().join(name)).unwrap();
        }
        let mut command = example("server", data.path());
        command
            .args(["--listen-addr", "127.0.0.1:0", "--allowed-schemes", "http,https,ssh,file"])
            .args(["--allow-private-networks", "--push-hosts", "127.0.0.1", "--git-backend", engine])
            .args(["--workers", "8", "--host-concurrency", "64", "--retry-delays", "", "--drain", "1"])
            .args(["--metrics-addr", &metrics.to_string()])
            .args(["--log-format", log_format, "--log", "trace"]);
        let files = [
            ("--file-roots", upstreams.repository.root().to_owned()),
            ("--repos-dir", data.path().join("repositories")),
            ("--ca-files", upstreams.authority.file()),
            ("--tls-cert", service.certificate),
            ("--tls-key", service.key),
            ("--tokens-file", upstreams.config_file("tokens.toml", entry)),
            ("--credentials-file", upstreams.config_file("credentials.toml", &upstreams.credentials)),
            ("--hosts-file", upstreams.config_file("hosts.toml", &upstreams.hosts)),
            ("--known-hosts", upstreams.config_file("known_hosts", &upstreams.known_hosts)),
        ];
        for (setting, file) in files {
            command.arg(setting).arg(file);
        }
        command
            .envs(upstreams.environment.iter().cloned())
            .env("TMPDIR", data.path().join("tmp"))
            .stdout(Stdio::piped())
            .stderr(File::create(data.path().join("log")).unwrap());
        let mut server = command.spawn().unwrap();
        let watch = Watch::begin(server.id(), Search::new(&upstreams.secrets));
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("it says where it listens");
        let url = url.replace("127.0.0.1", "localhost");
        let api = Api::connect(&url, &upstreams.authority.file(), token);
        let organisation = api.organisation("acme");
        World { data, upstreams, runs, targets, stalled, stalled_ssh, server, url, metrics, watch, api, organisation }
    }

    /// Runs it all, ends the server, and looks everywhere.
    pub(crate) fn run(mut self) {
        let mirrors = self.mirror();
        self.stall();
        self.push(mirrors[0]);
        self.mistake(mirrors[0]);
        self.ask(&mirrors);
        self.end();
        self.search();
    }

    /// Mirrors each upstream, and syncs those again that could be mirrored.
    fn mirror(&self) -> Vec<i32> {
        let create = |run: &Run| self.api.create(self.organisation, &run.name, &run.source).unwrap();
        let (mirrors, tasks): (Vec<_>, Vec<_>) = self.runs.iter().map(create).unzip();
        let mut unexpected = Vec::new();
        for (run, task) in self.runs.iter().zip(&tasks) {
            let ended = self.api.ended(task);
            let is_expected = match gitsync_core::ErrorKind::from_name(&ended.error_kind) {
                None => ended.status == "completed" && run.errors.is_empty(),
                Some(kind) => ended.status == "failed" && run.errors.contains(&kind),
            };
            if !is_expected {
                unexpected.push(format!("{}: {} {}", run.name, ended.error_kind, ended.error_message));
            }
        }
        assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
        self.upstreams.repository.commit("main");
        let well = self.runs.iter().zip(&mirrors).filter(|(run, _)| run.errors.is_empty());
        let tasks: Vec<_> = well.map(|(_, mirror)| self.api.sync(*mirror)).collect();
        assert!(tasks.iter().all(|task| self.api.ended(task).status == "completed"));
        mirrors
    }

    /// Cancels what does not come to an end by itself.
    fn stall(&self) {
        let ((server, source), (ssh, ssh_source)) = (&self.stalled, &self.stalled_ssh);
        let request = |name, source| self.api.create(self.organisation, name, source).unwrap().1;
        let tasks = [request("stalled", source), request("stalled-ssh", ssh_source)];
        let asked = || server.take_requests().iter().any(|request| request.endpoint == Endpoint::Command);
        wait_until("the transfer begins", asked);
        wait_until("ssh connects", || ssh.connections() > 0);
        if cfg!(target_os = "linux") {
            wait_until("the program is seen", || self.watch.seen().programs.contains("ssh"));
        }
        if cfg!(target_os = "linux") {
            let found = Search::new(&self.upstreams.secrets).found_below(&self.data.path().join("tmp"));
            assert!(found.is_empty(), "what a killed process would leave: {found:?}");
        }
        for task in tasks {
            self.api.cancel(&task);
            assert_eq!(self.api.ended(&task).status, "cancelled");
        }
    }

    /// Pushes to targets of all kinds.
    fn push(&self, mirror: i32) {
        for (target, _) in &self.targets {
            self.api.add_target(mirror, target).unwrap();
        }
        self.upstreams.repository.commit("main");
        assert_eq!(self.api.ended(&self.api.sync(mirror)).status, "completed");
        for target in self.api.targets(mirror) {
            let (_, takes) = self.targets.iter().find(|(url, _)| *url == target.url).unwrap();
            assert_eq!(target.error_kind.is_empty(), *takes, "{target:?}");
        }
    }

    /// Sends what has a password in it, to each place that takes an address.
    fn mistake(&mut self, mirror: i32) {
        let secret = self.upstreams.secret(Secret::plain("password of a caller"));
        for source in with_passwords(&secret) {
            assert!(self.api.create(self.organisation, "mistaken", &source).is_err(), "{source}");
            assert!(self.api.migrate(mirror, &source).is_err(), "{source}");
            assert!(self.api.add_target(mirror, &source).is_err(), "{source}");
            assert!(self.api.remove_target(mirror, &source).is_err(), "{source}");
        }
    }

    /// Asks for all that can be asked for.
    fn ask(&self, mirrors: &[i32]) {
        mirrors.iter().for_each(|mirror| self.api.repository(*mirror));
        self.api.rest();
        for arguments in [&["list"][..], &["tasks", "--limit", "1000"], &["create", "acme/mistaken", "https://a:b@c/d"]]
        {
            let mut command = example("client", self.data.path());
            command.args(["--server", &self.url]).args(arguments);
            command.env("GITSYNC_TOKEN_FILE", self.upstreams.config.path().join("token"));
            command.env("GITSYNC_CA_CERT", self.upstreams.authority.file());
            let output = command.output().unwrap();
            assert_eq!(output.status.success(), arguments[0] != "create", "{output:?}");
            self.api.hear(&output.stdout);
            self.api.hear(&output.stderr);
        }
        let mut metrics = TcpStream::connect(self.metrics).unwrap();
        metrics.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        metrics.read_to_string(&mut text).unwrap();
        assert!(text.contains("gitsync_"), "{text}");
        self.api.hear(text.as_bytes());
    }

    /// Tells the server to end, and waits for it.
    fn end(&mut self) {
        let status = Command::new("kill").args(["-TERM", &self.server.id().to_string()]).status().unwrap();
        assert!(status.success());
        let server = &mut self.server;
        wait_until("the server ends", || server.try_wait().unwrap().is_some());
    }

    /// Looks everywhere.
    fn search(&self) {
        let search = Search::new(&self.upstreams.secrets);
        let (seen, log) = (self.watch.seen(), fs::read(self.data.path().join("log")).unwrap());
        let mut found: Vec<_> = search.found_below(self.data.path()).into_iter().chain(seen.found).collect();
        found.extend(search.found_in(&self.api.heard()).iter().map(|what| format!("{what} in an answer")));
        let lines = log.split(|byte| *byte == b'\n').filter(|line| !search.found_in(line).is_empty());
        found.extend(lines.take(50).map(|line| String::from_utf8_lossy(line).into_owned()));
        assert!(found.is_empty(), "{}", found.join("\n"));
        if cfg!(target_os = "linux") {
            assert!(["git", "ssh"].iter().all(|name| seen.programs.contains(*name)), "{:?}", seen.programs);
        }
        assert!(log.len() > 1 << 20, "everything was logged");
        assert_eq!(names(&self.data.path().join("tmp")), Vec::<String>::new(), "nothing is left");
    }
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().display().to_string()).collect()
}

/// A server that stops in the midst of a transfer.
fn stalled(upstreams: &mut Upstreams) -> (SmartHttpServer, String) {
    let server = upstreams.http();
    server.answer(Endpoint::Command, Behaviour::StallAfter(100));
    let address = upstreams.tls(server.address());
    upstreams.know_password(address, Secret::new("password of one that stalls"));
    (server, format!("https://{address}/upstream.git"))
}

/// The same by ssh.
fn stalled_ssh(upstreams: &mut Upstreams) -> (SshServer, String) {
    let (server, key) = (SshServer::start(), KeyPair::generate(&["-t", "ed25519"], ""));
    server.let_in(&key, Some("cat >/dev/null"));
    upstreams.secret(seed("key of one that stalls", &key.private, &key.public));
    upstreams.know_key(&server, &key, None);
    upstreams.known_hosts.push_str(&format!("{}\n", server.known_host()));
    let source = server.source(upstreams.repository.dir()).to_string();
    (server, source)
}
