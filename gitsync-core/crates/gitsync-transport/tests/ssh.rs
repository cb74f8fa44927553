//! Sources by ssh, served by the real sshd and reached by the real ssh.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read as _;
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::source::{CredentialProvider, Credentials, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{KeyPair, SshServer, Upstream};
use gitsync_core::transport::{CallLimits, Connection, Service, Transport};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::{Gate, connection, limits, listing, typed};

/// Credentials for every source.
#[derive(Debug)]
struct Always(Option<Credentials>);

impl CredentialProvider for Always {
    fn credentials(&self, _: &SourceUrl) -> Result<Option<Credentials>> {
        Ok(self.0.clone())
    }
}

/// A repository, the server it is on, and a key that is let in.
struct Place {
    upstream: Upstream,
    server: SshServer,
    key: KeyPair,
}

impl Place {
    fn new() -> Place {
        let place = Place::that_runs(None);
        place.upstream.commit("main");
        place
    }

    /// One that runs a command whatever is asked for.
    fn that_runs(command: impl Into<Option<&'static str>>) -> Place {
        let (server, key) = (SshServer::start(), KeyPair::generate(&["-t", "ed25519"], ""));
        server.let_in(&key, command.into());
        Place { upstream: Upstream::new(), server, key }
    }

    fn url(&self) -> SourceUrl {
        self.server.source(self.upstream.dir())
    }

    fn options(&self) -> NetOptions {
        NetOptions { host_keys: vec![self.server.known_host()], ..NetOptions::default() }
    }

    fn transport(&self) -> NetTransport {
        transport(self.options(), Some(self.key.credentials()))
    }

    fn connect(&self, limits: &CallLimits) -> Result<Connection> {
        self.transport().connect(&self.url(), Service::UploadPack, 1, limits)
    }

    /// Returns why a source cannot be read with these credentials.
    fn refuses(&self, credentials: Option<Credentials>) -> Error {
        let transport = transport(self.options(), credentials);
        refusal(&transport, &self.url())
    }
}

fn transport(options: NetOptions, credentials: Option<Credentials>) -> NetTransport {
    let policy = SourcePolicy::builder().schemes([Scheme::Ssh]).allow_private_networks(true);
    let policy = policy.push_host("127.0.0.1").unwrap().build().unwrap();
    NetTransport::new(policy, options).with_credentials(std::sync::Arc::new(Always(credentials)))
}

fn refusal(transport: &NetTransport, url: &SourceUrl) -> Error {
    let error = connection(transport.connect(url, Service::UploadPack, 1, &limits())).unwrap_err();
    assert!(error.context().any(|(key, value)| key == "url" && value == url.to_string()), "{error}");
    error
}

fn fact<'e>(error: &'e Error, key: &str) -> Option<&'e str> {
    error.context().find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[test]
fn repositories_are_read_and_pushed_to() {
    let place = Place::new();
    let ask = |service, version| {
        let connection = place.transport().connect(&place.url(), service, version, &limits());
        listing(connection.unwrap_or_else(|error| panic!("{error}\n{}", place.server.log()))).unwrap()
    };
    let listed = ask(Service::UploadPack, 1);
    assert!(listed.contains("refs/heads/main") && !listed.contains("version"), "{listed}");
    assert!(ask(Service::UploadPack, 2).starts_with("000eversion 2\n"));
    assert!(ask(Service::ReceivePack, 1).contains("report-status"));
}

#[test]
fn keys_of_all_kinds_open_with_their_passphrases() {
    let place = Place::new();
    let connect = |kind: &[&str], passphrase: &str| {
        let pair = KeyPair::generate(kind, passphrase);
        place.server.let_in(&pair, None);
        let passphrase = Some(passphrase).filter(|it| !it.is_empty()).map(Into::into);
        // From a variable of the environment the last line end is gone.
        let key = secrecy::ExposeSecret::expose_secret(&pair.private).trim_end().into();
        let transport = transport(place.options(), Some(Credentials::SshKey { key, passphrase }));
        transport.connect(&place.url(), Service::UploadPack, 1, &limits())
    };
    // Of the last kind one in some hundreds is not understood, and says so.
    for (kind, tries) in [(&["-t", "ed25519"][..], 1), (&["-t", "rsa", "-b", "2048"], 1), (&["-t", "ecdsa"], 3)] {
        for passphrase in ["", "s3cret phrase"] {
            let connection =
                (1..tries).find_map(|_| connect(kind, passphrase).ok()).map_or_else(|| connect(kind, passphrase), Ok);
            let text = listing(connection.unwrap_or_else(|error| panic!("{kind:?}: {error}"))).unwrap();
            assert!(text.contains("refs/heads/main"), "{kind:?}: {text}");
        }
    }
    let older = KeyPair::generate(&["-t", "rsa", "-b", "2048", "-m", "PEM"], "");
    place.server.let_in(&older, None);
    let transport = transport(place.options(), Some(older.credentials()));
    listing(transport.connect(&place.url(), Service::UploadPack, 1, &limits()).unwrap()).unwrap();
}

#[test]
fn a_key_that_does_not_open_is_told_before_anybody_is_asked() {
    let place = Place::new();
    let locked = KeyPair::generate(&["-t", "ed25519"], "s3cret");
    let older = KeyPair::generate(&["-t", "rsa", "-b", "2048", "-m", "PEM"], "s3cret");
    let with = |pair: &KeyPair, passphrase: Option<&str>| {
        let passphrase = passphrase.map(Into::into);
        place.refuses(Some(Credentials::SshKey { key: pair.private.clone(), passphrase }))
    };
    let password = Credentials::UserPassword { user: "git".to_owned(), password: "s3cret".into() };
    for (error, hint) in [
        (with(&locked, Some("s3cre7")), "not that of the key"),
        (with(&locked, None), "configure its passphrase"),
        (with(&older, Some("s3cret")), "ssh-keygen -p"),
        (with(&older, None), "configure its passphrase"),
        (place.refuses(Some(password)), "private key"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
        assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cre"), "{error:?}");
    }
    assert_eq!(place.server.connections(), 0);
}

#[test]
fn keys_that_the_server_does_not_know_are_refused() {
    let place = Place::new();
    let stranger = KeyPair::generate(&["-t", "ed25519"], "");
    let error = place.refuses(Some(stranger.credentials()));
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, "the server refused the configured key"));
    assert!(fact(&error, "reason").unwrap().contains("Permission denied (publickey)"), "{error}");
    let error = place.refuses(None);
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, "the server asks for a key"));
    let error = place.refuses(Some(Credentials::SshKey { key: "no key".into(), passphrase: None }));
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, "the configured key cannot be read"));
    assert!(!error.is_retryable());
}

#[test]
fn hosts_have_to_be_known_by_their_key() {
    let place = Place::new();
    let other = KeyPair::generate(&["-t", "ed25519"], "");
    let name = format!("[127.0.0.1]:{}", place.url().port().unwrap());
    let elsewhere = format!("[127.0.0.1]:1 {}", place.server.host_key().public);
    let changed = format!("{name} {}", other.public);
    let revoked = format!("@revoked {name} {}", place.server.host_key().public);
    for (line, message) in [
        (elsewhere, "the key of the host is not known"),
        (changed, "the key of the host is not the one that is known"),
        (revoked, "the key of the host is marked as revoked"),
    ] {
        let options = NetOptions { host_keys: vec![line], ..NetOptions::default() };
        let error = refusal(&transport(options, Some(place.key.credentials())), &place.url());
        assert_eq!((error.kind(), error.message()), (ErrorKind::SourceRefused, message), "{error}");
        assert_eq!(fact(&error, "fingerprint"), Some(place.server.host_key().fingerprint().as_str()), "{error}");
        assert_eq!((fact(&error, "key"), fact(&error, "known_as")), (Some("ssh-ed25519"), Some(name.as_str())));
        assert!(error.hint_text().is_some() && !error.is_retryable());
    }
}

#[test]
fn host_keys_are_read_from_files() {
    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let (file, empty, missing) = (dir.path().join("a b%h"), dir.path().join("empty"), dir.path().join("missing"));
    // Without the end of its line.
    std::fs::write(&file, place.server.known_host()).unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let with = |files: &[&PathBuf]| {
        let known_hosts = files.iter().copied().cloned().collect();
        transport(NetOptions { known_hosts, ..NetOptions::default() }, Some(place.key.credentials()))
    };
    let connection = with(&[&file, &empty]).connect(&place.url(), Service::UploadPack, 1, &limits());
    listing(connection.unwrap()).unwrap();
    let before = place.server.connections();
    let others = dir.path().join("others");
    std::fs::write(&others, place.server.known_host()).unwrap();
    std::fs::set_permissions(&others, std::os::unix::fs::PermissionsExt::from_mode(0o664)).unwrap();
    for files in [&[][..], &[&empty], &[&file, &missing], &[&file, &others]] {
        let error = refusal(&with(files), &place.url());
        assert_eq!(error.kind(), ErrorKind::SourceRefused, "{error}");
        assert!(error.hint_text().unwrap().contains("known_hosts"));
    }
    assert_eq!(place.server.connections(), before);
}

#[test]
fn a_missing_repository_is_told() {
    let place = Place::new();
    let missing = place.server.source(&place.upstream.root().join("missing.git"));
    let error = refusal(&place.transport(), &missing);
    assert_eq!(error.kind(), ErrorKind::SourceNotFound);
    let answer = fact(&error, "answer").unwrap();
    assert!(answer.contains("does not appear to be a git repository") && !answer.contains("debug1"), "{answer}");
}

/// As the hosts of repositories do.
#[test]
fn what_the_other_machine_says_is_understood() {
    for (command, kind, said) in [
        ("echo ERROR: Repository not found. >&2; exit 1", ErrorKind::SourceNotFound, "ERROR: Repository not found."),
        ("echo You are not allowed to >&2; exit 1", ErrorKind::PermissionDenied, "You are not allowed to"),
        ("echo no space >&2; exit 128", ErrorKind::SourceUnreachable, "no space"),
        // It is not the server that refuses a key.
        ("echo 'x: Permission denied (publickey).' >&2; exit 1", ErrorKind::PermissionDenied, "x: Permission"),
        ("echo 'Host key verification failed.' >&2; exit 1", ErrorKind::SourceUnreachable, "Host key"),
    ] {
        let error = connection(Place::that_runs(command).connect(&limits())).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(fact(&error, "answer").unwrap().starts_with(said), "{error}");
    }
    let error = connection(Place::that_runs("true").connect(&limits())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
}

/// What ends late is an error of the stream.
#[test]
fn a_service_that_gives_up_in_the_middle_says_why() {
    let place = Place::that_runs("printf 0000; echo Repository not found >&2; exit 1");
    let mut connection = place.connect(&limits()).unwrap();
    let error = connection.reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(typed(&error).kind(), ErrorKind::SourceNotFound, "{error}");
}

#[test]
fn a_command_that_stalls_ends_by_the_idle_limit_the_deadline_and_cancellation() {
    // It ends when the connection does.
    let place = Place::that_runs("cat >/dev/null");
    let impatient = NetOptions { idle_timeout: Duration::from_secs(1), ..place.options() };
    let error = refusal(&transport(impatient, Some(place.key.credentials())), &place.url());
    assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "the upstream stopped answering"));

    let limited = CallLimits { deadline: Instant::now() + Duration::from_secs(1), ..limits() };
    assert_eq!(connection(place.connect(&limited)).unwrap_err().kind(), ErrorKind::Timeout);

    let cancelled = limits();
    thread::scope(|scope| {
        let call = scope.spawn(|| connection(place.connect(&cancelled)).unwrap_err());
        cancelled.cancellation.cancel();
        assert_eq!(call.join().unwrap().kind(), ErrorKind::Cancelled);
    });
    // And one that had begun.
    let place = Place::that_runs("printf 0; cat >/dev/null");
    let cancelled = limits();
    let mut connection = place.connect(&cancelled).unwrap();
    connection.reader.read_exact(&mut [0]).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| connection.reader.read(&mut [0]).unwrap_err());
        cancelled.cancellation.cancel();
        assert_eq!(typed(&reader.join().unwrap()).kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn answers_are_bounded() {
    let place = Place::that_runs("while printf 00000000000000000000000000000000; do :; done");
    let mut connection = place.connect(&CallLimits { max_response_bytes: 10_000, ..limits() }).unwrap();
    let error = connection.reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(typed(&error).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn servers_that_are_none_are_unreachable() {
    let place = Place::new();
    let source = |listener: &TcpListener| -> SourceUrl {
        format!("ssh://git@{}/a", listener.local_addr().unwrap()).parse().unwrap()
    };
    let closed = source(&TcpListener::bind("127.0.0.1:0").unwrap());
    let error = refusal(&place.transport(), &closed);
    assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, "the server refuses connections"));

    let hangs_up = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = source(&hangs_up);
    thread::spawn(move || hangs_up.incoming().for_each(drop));
    let error = refusal(&place.transport(), &url);
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::SourceUnreachable, "the server ended the connection early")
    );

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = source(&silent);
    let (_open, gate) = Gate::new();
    thread::spawn(move || (silent.accept(), gate.wait()));
    let impatient = NetOptions { connect_timeout: Duration::from_secs(1), ..place.options() };
    let error = refusal(&transport(impatient, None), &url);
    assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, "the server does not answer"));
}

#[test]
fn the_checked_address_is_the_one_connected_to() {
    let place = Place::new();
    let port = place.url().port().unwrap();
    let named: SourceUrl = place.url().to_string().replace("127.0.0.1", "git.example").parse().unwrap();
    let line = format!("[git.example]:{port} {}", place.server.host_key().public);
    let options = NetOptions { host_keys: vec![line], ..NetOptions::default() };
    // Nobody is at the first.
    let addresses = vec![IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 1])];
    let transport = transport(options, Some(place.key.credentials())).with_lookup(move |_| Ok(addresses.clone()));
    let text = listing(transport.connect(&named, Service::UploadPack, 1, &limits()).unwrap()).unwrap();
    assert!(text.contains("refs/heads/main"), "{text}");
}

#[test]
fn nobody_is_connected_to_whom_the_policy_refuses() {
    let place = Place::new();
    let refused = |policy: SourcePolicy, url: &SourceUrl, addresses: Vec<IpAddr>| {
        let transport = NetTransport::new(policy, place.options()).with_lookup(move |_| Ok(addresses.clone()));
        connection(transport.connect(url, Service::UploadPack, 1, &limits())).unwrap_err().kind()
    };
    assert_eq!(refused(SourcePolicy::default(), &place.url(), Vec::new()), ErrorKind::SourceRefused);
    let named: SourceUrl = place.url().to_string().replace("127.0.0.1", "git.example").parse().unwrap();
    let addresses = vec![IpAddr::from([192, 0, 32, 8]), IpAddr::from([127, 0, 0, 1])];
    assert_eq!(refused(SourcePolicy::default(), &named, addresses), ErrorKind::SourceRefused);
    let port = SourcePolicy::builder().allow_private_networks(true).allowed_ports([22]).build().unwrap();
    assert_eq!(refused(port, &place.url(), Vec::new()), ErrorKind::SourceRefused);
    assert_eq!(place.server.connections(), 0);
}

#[test]
fn without_the_ssh_program_such_sources_are_not_supported() {
    let place = Place::new();
    let options = NetOptions { ssh_program: PathBuf::from("no-such-ssh"), ..place.options() };
    let error = refusal(&transport(options, Some(place.key.credentials())), &place.url());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint_text().unwrap().contains("openssh-client"));
}

/// A script in the place of ssh tells what it can see.
#[test]
fn the_program_is_told_no_secret_and_its_files_are_gone_when_it_speaks() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("ssh");
    let text = "#!/bin/sh\nfor word; do case $word in IdentityFile=*) key=${word#*=};; esac; done\n\
                seen=$(pwd; ls -lan; ls -lnL \"$key\"; cat \"$key\"; env; echo \"$@\")\necho \"$seen\"\ncat >/dev/null\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = NetOptions { ssh_program: script, ..place.options() };
    let locked = KeyPair::generate(&["-t", "ed25519"], "s3cret");
    let key = Credentials::SshKey { key: locked.private, passphrase: Some("s3cret".into()) };
    let connection = transport(options, Some(key)).connect(&place.url(), Service::UploadPack, 2, &limits()).unwrap();
    let told = listing(connection).unwrap();
    let (directory, rest) = told.split_once('\n').unwrap();
    assert!(!std::path::Path::new(directory).exists(), "{directory}");
    let files: Vec<_> = rest.lines().take_while(|line| !line.starts_with("-----")).collect();
    assert!(files.iter().any(|line| line.starts_with("drwx------") && line.ends_with(" .")), "{files:?}");
    // Of this directory, and the key, which is in it only where it cannot be in memory.
    let plain = files.iter().copied().filter(|line| line.starts_with('-'));
    let (private, others): (Vec<&str>, Vec<&str>) = plain.partition(|line| line.starts_with("-rw-------"));
    let is_in_memory = private.last().unwrap().contains("/proc/");
    assert_eq!((private.len(), others.len()), (if is_in_memory { 2 } else { 3 }, 0), "{files:?}");
    assert_eq!(is_in_memory, cfg!(target_os = "linux"));
    assert!(private.iter().any(|line| line.ends_with(" known_hosts")), "{files:?}");
    let (key, seen) = rest.split_once("-----END OPENSSH PRIVATE KEY-----\n").unwrap();
    assert!(!seen.contains("s3cret") && !seen.contains("CARGO") && !seen.contains("HOME="), "{seen}");
    let secret = key.lines().last().unwrap();
    assert!(secret.len() > 10 && !seen.contains(secret));
    for line in ["GIT_PROTOCOL=version=2", "LC_ALL=C"] {
        assert!(seen.lines().any(|seen| seen == line), "{line}: {seen}");
    }
    for word in ["-F none", "StrictHostKeyChecking=yes", "HostName=127.0.0.1", "HostKeyAlias=[127.0.0.1]:"] {
        assert!(seen.contains(word), "{word}: {seen}");
    }
    let asked = format!("-- 127.0.0.1 git-upload-pack '{}'", place.upstream.dir().display());
    assert!(seen.contains(&asked), "{seen}");
}
