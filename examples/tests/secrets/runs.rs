//! Upstreams that work, that fail, and that repeat what they were shown.

use std::net::SocketAddr;
use std::rc::Rc;

use gitsync_core::ErrorKind::{self, *};
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Authority, KeyPair, ProxyProtocol, ProxyServer, SmartHttpServer, SshServer, Upstream};

use super::search::Secret;
use super::upstreams::{Upstreams, basic, encrypted, parrot, scalar, seed};

const INFO_REFS: &str = "info/refs?service=git-upload-pack";
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";
const REPORT: &str = "application/x-git-receive-pack-result";

/// A source, and what becomes of its mirror.
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) source: String,
    /// Why it cannot be made: one of these, which may depend on the engine. Nothing: it can.
    pub(crate) errors: Vec<ErrorKind>,
}

impl Run {
    fn new(name: &str, source: impl ToString, errors: &[ErrorKind]) -> Self {
        Run { name: name.to_owned(), source: source.to_string(), errors: errors.to_vec() }
    }
}

/// All of them.
pub(crate) fn runs(upstreams: &mut Upstreams) -> Vec<Run> {
    [welcome, refused, parrots, secure, proxied, ssh].into_iter().flat_map(|some| some(upstreams)).collect()
}

fn https(address: SocketAddr) -> String {
    format!("https://{address}/upstream.git")
}

/// Who is let in.
fn welcome(upstreams: &mut Upstreams) -> Vec<Run> {
    let servers = [(); 3].map(|()| upstreams.http());
    let addresses = servers.each_ref().map(|server| upstreams.tls(server.address()));
    let password = upstreams.know_password(addresses[0], Secret::new("password"));
    servers[0].let_in(&[&basic("mirror", &password)]);
    let token = upstreams.secret(Secret::new("bearer"));
    upstreams.know(addresses[1], &format!("bearer = \"{}\"", token.text()));
    servers[1].let_in(&[&format!("Bearer {}", token.text())]);
    let variable = upstreams.secret(Secret::new("token of the environment"));
    let name = addresses[2].to_string().replace(['.', ':'], "_");
    upstreams.environment.push((format!("GITSYNC_CREDENTIAL_{name}_TOKEN"), variable.text().to_owned()));
    servers[2].let_in(&[&basic("x-access-token", &variable)]);
    servers.into_iter().for_each(|server| upstreams.keep(server));
    let file = upstreams.repository.file_source();
    vec![
        Run::new("password", https(addresses[0]), &[]),
        Run::new("bearer", https(addresses[1]), &[]),
        Run::new("variable", https(addresses[2]), &[]),
        Run::new("file", file, &[]),
    ]
}

/// Who is not, and says so as servers do.
fn refused(upstreams: &mut Upstreams) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut refuse = |upstreams: &mut Upstreams, name: &str, answer: Behaviour, errors: &[ErrorKind]| {
        let server = upstreams.http();
        server.answer(Endpoint::Greeting, answer);
        let address = upstreams.tls(server.address());
        upstreams.know_password(address, Secret::new(name));
        upstreams.keep(server);
        runs.push(Run::new(name, https(address), errors));
    };
    for (status, error) in
        [(401, Unauthenticated), (403, PermissionDenied), (404, SourceNotFound), (500, SourceUnreachable)]
    {
        refuse(upstreams, &format!("status-{status}"), Behaviour::Status(status, vec![]), &[error]);
    }
    // Another host, which is shown nothing.
    let public = upstreams.http();
    let elsewhere = format!("{}/{INFO_REFS}", https(upstreams.tls(public.address())));
    upstreams.keep(public);
    refuse(upstreams, "elsewhere", Behaviour::Status(302, vec![("Location", elsewhere)]), &[]);
    // In the clear nothing is shown.
    let clear = upstreams.http();
    let secret = upstreams.know_password(clear.address(), Secret::new("in the clear"));
    clear.let_in(&[&basic("mirror", &secret)]);
    runs.push(Run::new("clear", clear.source("upstream.git"), &[Unauthenticated]));
    upstreams.keep(clear);
    runs
}

/// Who repeats the password.
fn parrots(upstreams: &mut Upstreams) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut repeat = |name: &str, errors: &[ErrorKind], answer: &dyn Fn(&SmartHttpServer, String)| {
        let server = upstreams.http();
        let address = upstreams.tls(server.address());
        let secret = upstreams.know_password(address, Secret::new(name));
        answer(&server, secret.echo(&format!("mirror:{}", secret.text())));
        upstreams.keep(server);
        runs.push(Run::new(name, https(address), errors));
    };
    let greet = |server: &SmartHttpServer, answer| server.answer(Endpoint::Greeting, answer);
    let header = |status, name| {
        move |server: &SmartHttpServer, said| greet(server, Behaviour::Status(status, vec![(name, said)]))
    };
    repeat("realm", &[Unauthenticated], &|server, said| {
        let realm = format!("Basic realm=\"{said}\"");
        greet(server, Behaviour::Status(401, vec![("WWW-Authenticate", realm), ("Authorization", said)]));
    });
    repeat("failure", &[SourceUnreachable], &header(500, "X-Debug"));
    repeat("pause", &[SourceUnreachable], &header(503, "Retry-After"));
    repeat("location", &[SourceNotFound], &header(302, "Location"));
    for status in [301, 307] {
        repeat(&format!("moved-{status}"), &[SourceRefused], &|server, said| {
            let shown = if status == 301 { said.split(' ').nth(1) } else { said.rsplit(' ').next() }.unwrap();
            let to = format!("https://127.0.0.1:1/{shown}/upstream.git/{INFO_REFS}");
            greet(server, Behaviour::Status(status, vec![("Location", to)]));
        });
    }
    repeat("error", &[SourceUnreachable], &|server, said| {
        greet(server, Behaviour::Body(ADVERTISEMENT, greeting(&packet(&format!("ERR {said}")))));
    });
    repeat("unframed", &[Corrupt], &|server, said| greet(server, Behaviour::Body(ADVERTISEMENT, said.into_bytes())));
    repeat("reference", &[], &|server, said| {
        let id = "0123456789012345678901234567890123456789";
        let lines = [packet(&format!("{id} refs/heads/{said}\0 agent={said}")), packet(&format!("{id} {said}"))];
        greet(server, Behaviour::Body(ADVERTISEMENT, greeting(&lines.concat())));
    });
    for (name, band) in [("remark", '\u{2}'), ("fatal", '\u{3}')] {
        let errors = if band == '\u{3}' { [SourceUnreachable, Corrupt] } else { [Corrupt, LimitExceeded] };
        repeat(name, &errors, &|server, said| {
            let pack = if band == '\u{3}' { "0000".to_owned() } else { packet(&format!("\u{1}{said}")) };
            let lines = [packet("NAK\n"), packet(&format!("{band}{said}")), pack];
            server.answer(Endpoint::Command, Behaviour::Body(RESULT, lines.concat().into_bytes()));
        });
    }
    repeat("late-error", &[SourceUnreachable], &|server, said| {
        let line = packet(&format!("ERR {said}"));
        server.answer(Endpoint::Command, Behaviour::Body(RESULT, line.into_bytes()));
    });
    // What is no HTTP.
    for (name, start, end) in [
        ("status-line", "HTTP/1.1 ", "\r\n\r\n"),
        ("header-line", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"),
        (
            "chunk",
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nTransfer-Encoding: chunked\r\n\r\n",
            "\r\n",
        ),
        ("page", "HTTP/1.1 200 OK\r\nContent-Type: ", "\r\n\r\n"),
    ] {
        let secret = Secret::new(name);
        let said = secret.echo(&format!("mirror:{}", secret.text()));
        let address = upstreams.tls(parrot(format!("{start}{said}{end}")));
        upstreams.know_password(address, secret);
        runs.push(Run::new(name, https(address), if name == "page" { &[Corrupt] } else { &[SourceUnreachable] }));
    }
    runs
}

fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

fn greeting(lines: &str) -> Vec<u8> {
    format!("{}0000{lines}0000", packet("# service=git-upload-pack\n")).into_bytes()
}

/// Certificates: those that are trusted or not, and our own.
fn secure(upstreams: &mut Upstreams) -> Vec<Run> {
    let ours = upstreams.authority.issue("client.example");
    upstreams.secret(scalar("key of the client certificate", &std::fs::read_to_string(&ours.key).unwrap()));
    let key = upstreams.config_file("client-key.pem", &std::fs::read_to_string(&ours.key).unwrap());
    upstreams.hosts.push_str(&format!(
        "[[host]]\npattern = \"127.0.0.1\"\nclient_cert = \"{}\"\nclient_key = \"{}\"\n",
        ours.certificate.display(),
        key.display()
    ));
    // Of another host is asked by a name that it could not know unless it was shown it.
    let name = Secret::plain("name of the certificate");
    let strangers = Authority::default();
    let authority = Rc::clone(&upstreams.authority);
    let certificates = [
        ("known-client", authority.issue("127.0.0.1"), Some(&*authority), &[][..]),
        ("unknown-client", authority.issue("127.0.0.1"), Some(&strangers), &[Unauthenticated]),
        ("expired", authority.issue_expired("127.0.0.1"), None, &[SourceUnreachable]),
        ("untrusted", strangers.issue("127.0.0.1"), None, &[SourceUnreachable]),
        ("misnamed", authority.issue(name.text()), None, &[SourceUnreachable]),
    ];
    let mut runs = Vec::new();
    for (name_of_run, identity, clients, errors) in certificates {
        let server = upstreams.http();
        let address = upstreams.tls_as(server.address(), &identity, clients);
        let secret = if name_of_run == "misnamed" { name.clone() } else { Secret::new(name_of_run) };
        upstreams.know_password(address, secret);
        upstreams.keep(server);
        runs.push(Run::new(name_of_run, https(address), errors));
    }
    runs
}

/// What is behind proxies: those that let us in, that do not, and that repeat our login. Each has an address of the loopback,
/// at which nobody is.
fn proxied(upstreams: &mut Upstreams) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut behind = |upstreams: &mut Upstreams, name: &str, host: &str, proxy: String, secret: &Secret, lets_in| {
        let login = upstreams.config_file(&format!("login-{host}"), &format!("me:{}\n", secret.text()));
        upstreams.hosts.push_str(&format!(
            "[[host]]\npattern = \"{host}\"\nproxy = \"{proxy}\"\nproxy_login_file = \"{}\"\n",
            login.display()
        ));
        let server = upstreams.http();
        let address = upstreams.tls_as(server.address(), &upstreams.authority.issue(host), None);
        upstreams.keep(server);
        let address: SocketAddr = format!("{host}:{}", address.port()).parse().unwrap();
        upstreams.know_password(address, Secret::new(&format!("{name}, beyond")));
        runs.push(Run::new(name, https(address), if lets_in { &[] } else { &[SourceUnreachable] }));
    };
    let here = |address: SocketAddr| Some(SocketAddr::from(([127, 0, 0, 1], address.port())));
    for (name, protocol, host, wanted) in [
        ("http-proxy", ProxyProtocol::Http, "127.0.0.2", None),
        ("socks-proxy", ProxyProtocol::Socks5, "127.0.0.3", None),
        ("http-proxy-refuses", ProxyProtocol::Http, "127.0.0.4", Some("me:another")),
        ("socks-proxy-refuses", ProxyProtocol::Socks5, "127.0.0.5", Some("me:another")),
    ] {
        let secret = upstreams.secret(Secret::new(name));
        let right: &'static str = Box::leak(format!("me:{}", secret.text()).into_boxed_str());
        let proxy = ProxyServer::start(protocol, Some(wanted.unwrap_or(right)), here);
        behind(upstreams, name, host, proxy.url(), &secret, wanted.is_none());
        upstreams.keep(proxy);
    }
    for (name, host, start, end) in [
        ("proxy-repeats", "127.0.0.6", "HTTP/1.1 407 ", "\r\nProxy-Authenticate: x\r\n\r\n"),
        ("proxy-fails", "127.0.0.7", "HTTP/1.1 502 ", "\r\n\r\n"),
        ("no-proxy", "127.0.0.8", "", "\r\n\r\n"),
        ("proxy-of-no-tls", "127.0.0.9", "HTTP/1.1 200 OK\r\n\r\n", ""),
    ] {
        let secret = upstreams.secret(Secret::new(name));
        let proxy = parrot(format!("{start}{}{end}", secret.echo(&format!("me:{}", secret.text()))));
        behind(upstreams, name, host, format!("http://{proxy}"), &secret, false);
    }
    runs
}

/// Keys, those of hosts and ours.
fn ssh(upstreams: &mut Upstreams) -> Vec<Run> {
    let mut runs = Vec::new();
    let passphrase = upstreams.secret(Secret::new("passphrase"));
    let mistaken = upstreams.secret(Secret::new("mistaken passphrase"));
    let stranger = KeyPair::generate(&["-t", "ed25519"], "");
    for (name, errors) in [
        ("ssh", &[][..]),
        ("ssh-encrypted", &[]),
        ("ssh-mistaken", &[Unauthenticated]),
        ("ssh-stranger", &[Unauthenticated]),
        ("ssh-unknown", &[SourceRefused]),
        ("ssh-changed", &[SourceRefused]),
        ("ssh-repeats", &[SourceNotFound]),
    ] {
        let server = SshServer::start();
        let key = KeyPair::generate(&["-t", "ed25519"], "");
        upstreams.secret(seed(&format!("key of {name}"), &key.private, &key.public));
        let locked = || encrypted(&key, &passphrase);
        match name {
            "ssh-encrypted" | "ssh-repeats" => upstreams.know_key(&server, &locked(), Some(&passphrase)),
            "ssh-mistaken" => upstreams.know_key(&server, &locked(), Some(&mistaken)),
            _ => upstreams.know_key(&server, &key, None),
        }
        let said = format!(
            "echo 'ERROR: Repository not found. {}' >&2; exit 1",
            passphrase.echo(&format!("me:{}", passphrase.text()))
        );
        match name {
            "ssh-stranger" => server.let_in(&stranger, None),
            "ssh-repeats" => server.let_in(&key, Some(&said)),
            _ => server.let_in(&key, None),
        }
        let known = server.known_host();
        match name {
            "ssh-unknown" => {}
            "ssh-changed" => {
                let place = known.split(' ').next().unwrap();
                upstreams.known_hosts.push_str(&format!("{place} {}\n", stranger.public));
            }
            _ => upstreams.known_hosts.push_str(&format!("{known}\n")),
        }
        runs.push(Run::new(name, server.source(upstreams.repository.dir()), errors));
        upstreams.keep(server);
    }
    runs
}

/// What is pushed to: where we are let in, and where what we showed is repeated in each place of an answer.
pub(crate) fn push_targets(upstreams: &mut Upstreams) -> Vec<(String, bool)> {
    let mut targets = Vec::new();
    for name in ["target", "target-report", "target-unpack", "target-fatal", "target-refuses"] {
        let repository = Upstream::new();
        repository.git().run(&["config", "http.receivepack", "true"]);
        let server = SmartHttpServer::start(repository.root());
        let address = upstreams.tls(server.address());
        let secret = upstreams.know_password(address, Secret::new(name));
        let said = secret.echo(&format!("mirror:{}", secret.text()));
        let report =
            |lines: &str| format!("{}{}0000", packet(&format!("\u{2}{said}")), packet(&format!("\u{1}{lines}0000")));
        let answer = match name {
            "target-report" => {
                Some(report(&[packet("unpack ok\n"), packet(&format!("ng refs/heads/main {said}\n"))].concat()))
            }
            "target-unpack" => Some(report(&packet(&format!("unpack {said}\n")))),
            "target-fatal" => Some(packet(&format!("\u{3}{said}"))),
            _ => None,
        };
        match answer {
            Some(answer) => server.answer(Endpoint::Command, Behaviour::Body(REPORT, answer.into_bytes())),
            None if name == "target-refuses" => server.let_in(&[]),
            None => server.let_in(&[&basic("mirror", &secret)]),
        }
        targets.push((https(address), name == "target"));
        upstreams.keep((server, repository));
    }
    targets
}

/// Sources that have a password in them, well written and not.
pub(crate) fn with_passwords(secret: &Secret) -> Vec<String> {
    let secret = secret.text();
    [
        "https://me:{}@127.0.0.1/a.git",
        "https://{}@127.0.0.1/a.git",
        "http://me:{}@127.0.0.1/a.git",
        "ssh://me:{}@127.0.0.1/a.git",
        "me:{}@127.0.0.1:a.git",
        "htps://me:{}@127.0.0.1/a.git",
        "https:/me:{}@127.0.0.1/a.git",
        "https://me:{}@127.0.0.1:port/a.git",
        "https://me:{}@/a.git",
        "https://me:{} @127.0.0.1/a.git",
        "file://me:{}@127.0.0.1/a.git",
        "https://127.0.0.1/a.git?token={}",
    ]
    .iter()
    .map(|text| text.replace("{}", secret))
    .collect()
}
