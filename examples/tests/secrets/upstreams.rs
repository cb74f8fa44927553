//! Upstreams of all kinds, and what the server is told of them.

use std::any::Any;
use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gitsync_core::testing::{Authority, Identity, KeyPair, SmartHttpServer, SshServer, TlsServer, Upstream};
use secrecy::{ExposeSecret as _, SecretString};

use super::search::Secret;

/// Whom all https servers are under, what they serve, and how the server reaches them.
pub(crate) struct Upstreams {
    pub(crate) authority: Rc<Authority>,
    pub(crate) repository: Upstream,
    /// The files of settings, and those that they name.
    pub(crate) config: tempfile::TempDir,
    pub(crate) credentials: String,
    pub(crate) hosts: String,
    pub(crate) known_hosts: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) secrets: Vec<Secret>,
    kept: RefCell<Vec<Box<dyn Any>>>,
}

impl Upstreams {
    pub(crate) fn new() -> Self {
        let repository = Upstream::new();
        repository.history("main", 20);
        Upstreams {
            authority: Rc::default(),
            repository,
            config: tempfile::tempdir().unwrap(),
            credentials: String::new(),
            hosts: String::new(),
            known_hosts: String::new(),
            environment: Vec::new(),
            secrets: Vec::new(),
            kept: RefCell::default(),
        }
    }

    /// Remembers a secret.
    pub(crate) fn secret(&mut self, secret: Secret) -> Secret {
        self.secrets.push(secret.clone());
        secret
    }

    /// Keeps a server running.
    pub(crate) fn keep(&self, server: impl Any) {
        self.kept.borrow_mut().push(Box::new(server));
    }

    /// A server by HTTP of what there is.
    pub(crate) fn http(&self) -> SmartHttpServer {
        SmartHttpServer::start(self.repository.root())
    }

    /// Puts TLS in front of a server, and returns where.
    pub(crate) fn tls(&self, behind: SocketAddr) -> SocketAddr {
        let identity = self.authority.issue("127.0.0.1");
        self.tls_as(behind, &identity, None)
    }

    /// Puts TLS in front of a server, which shows a certificate and lets in only clients of an authority, if there is one.
    pub(crate) fn tls_as(&self, behind: SocketAddr, identity: &Identity, clients: Option<&Authority>) -> SocketAddr {
        let tls = TlsServer::start(behind, identity, clients);
        let address = tls.address();
        self.keep(tls);
        address
    }

    /// Adds an entry to the file of credentials.
    pub(crate) fn know(&mut self, host: impl ToString, entry: &str) {
        self.credentials.push_str(&format!("[[credentials]]\nhost = \"{}\"\n{entry}\n", host.to_string()));
    }

    /// Adds a password to the file of credentials, and returns it.
    pub(crate) fn know_password(&mut self, host: impl ToString, secret: Secret) -> Secret {
        self.know(host, &format!("user = \"mirror\"\npassword = \"{}\"", secret.text()));
        self.secret(secret)
    }

    /// Adds a key to the file of credentials, with its passphrase if it has one.
    pub(crate) fn know_key(&mut self, server: &SshServer, key: &KeyPair, passphrase: Option<&Secret>) {
        let source = server.source(self.repository.dir());
        let host = format!("{}:{}", source.host().unwrap(), source.port().unwrap());
        let file = self.config_file(&format!("key-{}", source.port().unwrap()), key.private.expose_secret());
        let passphrase = passphrase.map(|secret| format!("passphrase = \"{}\"", secret.text())).unwrap_or_default();
        self.know(host, &format!("ssh_key_file = \"{}\"\n{passphrase}", file.display()));
    }

    /// Writes a file that only this user may read.
    pub(crate) fn config_file(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.config.path().join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path
    }
}

/// Returns the header by which a login is shown.
pub(crate) fn basic(user: &str, secret: &Secret) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{}", secret.text())))
}

/// Returns what is secret of a key of ed25519: 32 bytes that stand before the public ones at the end of its file.
pub(crate) fn seed(name: &str, key: &SecretString, public: &str) -> Secret {
    let bytes = decoded(key.expose_secret());
    let public = BASE64.decode(public.split(' ').nth(1).unwrap()).unwrap();
    let public = &public[public.len() - 32..];
    let at = bytes.windows(32).rposition(|window| window == public).unwrap();
    Secret::of(name, &bytes[at - 32..at])
}

/// Returns what is secret of a key of an elliptic curve: the 32 bytes of an octet string behind the version of RFC 5915.
pub(crate) fn scalar(name: &str, pem: &str) -> Secret {
    let (bytes, start) = (decoded(pem), [2, 1, 1, 4, 32]);
    let at = bytes.windows(5).position(|window| window == start).unwrap() + start.len();
    Secret::of(name, &bytes[at..at + 32])
}

fn decoded(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with('-')).map(str::trim);
    BASE64.decode(lines.collect::<String>()).unwrap()
}

/// Answers everybody with the same bytes, whatever they say.
pub(crate) fn parrot(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), Arc::new(answer.into()));
    // It is there as long as the test is.
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, answer) = (connection.unwrap(), Arc::clone(&answer));
            thread::spawn(move || {
                // One that goes away is no failure.
                if connection.read(&mut [0; 4096]).is_ok() {
                    connection.write_all(&answer).ok();
                }
                // To close before all is read would take back what was answered.
                connection.shutdown(std::net::Shutdown::Write).ok();
                std::io::copy(&mut connection, &mut std::io::sink()).ok();
            });
        }
    });
    address
}

/// Encrypts a private key.
pub(crate) fn encrypted(key: &KeyPair, passphrase: &Secret) -> KeyPair {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    fs::write(&file, key.private.expose_secret()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-p", "-a", "1", "-P", "", "-N", passphrase.text(), "-f"]).arg(&file);
    assert!(command.output().unwrap().status.success());
    KeyPair { private: fs::read_to_string(file).unwrap().into(), public: key.public.clone() }
}
