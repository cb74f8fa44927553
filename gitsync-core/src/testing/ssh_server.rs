//! A server of OpenSSH on the loopback.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::per_connection::PerConnection;
use crate::source::{Credentials, SourceUrl};

/// Where systems put the program, which has to be called by its whole path.
const PLACES: [&str; 4] =
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd", "/run/current-system/sw/bin/sshd"];

/// Without it the program does not start as root. It is made when the machine's own server is started, which may never be.
const EMPTY_DIRECTORY: &str = "/run/sshd";

/// A pair of keys.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The private key, as in its file.
    pub private: SecretString,
    /// The public key: one line, without its end.
    pub public: String,
}

impl KeyPair {
    /// Makes a pair by `ssh-keygen` with these further arguments; an empty passphrase is none.
    ///
    /// # Panics
    /// If it fails.
    pub fn generate(arguments: &[&str], passphrase: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let file = dir.path().join("key");
        let mut command = Command::new("ssh-keygen");
        // One round: a test need not wait for what makes guessing slow.
        command.args(["-q", "-C", "test", "-a", "1", "-N", passphrase]).args(arguments).arg("-f").arg(&file);
        let output = command.output().expect("ssh-keygen is installed");
        assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
        let read = |file: &Path| fs::read_to_string(file).expect("the key was made");
        KeyPair { private: read(&file).into(), public: read(&file.with_extension("pub")).trim_end().to_owned() }
    }

    /// Returns the fingerprint of the public key as `ssh-keygen` prints it: `SHA256:` and so on.
    ///
    /// # Panics
    /// If it cannot.
    pub fn fingerprint(&self) -> String {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let file = dir.path().join("key.pub");
        fs::write(&file, &self.public).expect("a file can be written");
        let output = Command::new("ssh-keygen").arg("-lf").arg(&file).output().expect("ssh-keygen is installed");
        let printed = String::from_utf8(output.stdout).expect("it prints text");
        printed.split(' ').nth(1).expect("it prints the fingerprint in the middle").to_owned()
    }

    /// Returns the credentials that the pair is.
    pub fn credentials(&self) -> Credentials {
        Credentials::SshKey { key: self.private.clone(), passphrase: None }
    }
}

/// Lets those in, as the user who runs the test, whose keys it was told, until it is dropped.
pub struct SshServer {
    dir: TempDir,
    user: String,
    host: KeyPair,
    connections: PerConnection,
}

impl fmt::Debug for SshServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshServer").field("address", &self.connections.address()).finish_non_exhaustive()
    }
}

impl Default for SshServer {
    fn default() -> Self {
        SshServer::start()
    }
}

impl SshServer {
    /// Starts a server on a free port of the loopback. Nobody is let in yet.
    ///
    /// # Panics
    /// If there is none, or OpenSSH is not installed.
    pub fn start() -> Self {
        let program = PLACES.iter().map(Path::new).find(|path| path.exists()).expect("sshd is installed");
        let dir = tempfile::tempdir().expect("a directory can be made");
        let host = KeyPair::generate(&["-t", "ed25519"], "");
        let file = |name: &str| dir.path().join(name);
        write_private(&file("host_key"), host.private.expose_secret());
        write_private(&file("authorized_keys"), "");
        // What is started finds git where the test does, and no configuration of the machine's.
        let path = std::env::var("PATH").unwrap_or_default();
        let config = format!(
            "HostKey {host_key}\nAuthorizedKeysFile {authorized_keys}\nPidFile none\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n\
             AcceptEnv GIT_PROTOCOL\n\
             SetEnv \"PATH={path}\" GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n",
            host_key = file("host_key").display(),
            authorized_keys = file("authorized_keys").display(),
        );
        write_private(&file("config"), &config);
        let printed = Command::new("id").arg("-un").output().expect("there is a user").stdout;
        let user = String::from_utf8(printed).expect("a user has a name").trim_end().to_owned();
        if user == "root" {
            fs::create_dir_all(EMPTY_DIRECTORY).expect("root can make a directory");
        }
        let (config, log) = (file("config"), file("log"));
        let connections = PerConnection::start(move || {
            let mut command = Command::new(program);
            command.arg("-i").arg("-f").arg(&config).arg("-E").arg(&log).stderr(Stdio::null());
            command
        });
        SshServer { dir, user, host, connections }
    }

    /// Lets whoever has the private key in; what they run is replaced by `instead`, if that is given.
    ///
    /// # Panics
    /// If the file of keys cannot be written.
    pub fn let_in(&self, key: &KeyPair, instead: Option<&str>) {
        let file = self.dir.path().join("authorized_keys");
        let options = instead.map(|command| format!("command=\"{}\" ", command.replace('"', "\\\"")));
        let keys = fs::read_to_string(&file).expect("there is a file of keys");
        let line = format!("{}{}\n", options.unwrap_or_default(), key.public);
        write_private(&file, &(keys + &line));
    }

    /// Returns the address of a repository on this machine.
    ///
    /// # Panics
    /// If the path cannot be part of an address.
    pub fn source(&self, path: &Path) -> SourceUrl {
        let (user, address, path) = (&self.user, self.connections.address(), path.display());
        SourceUrl::parse(&format!("ssh://{user}@{address}{path}")).expect("it is a source").url
    }

    /// Returns the server's own keys.
    pub fn host_key(&self) -> &KeyPair {
        &self.host
    }

    /// Returns the line for a file of known hosts.
    pub fn known_host(&self) -> String {
        let address = self.connections.address();
        format!("[{}]:{} {}", address.ip(), address.port(), self.host.public)
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.connections()
    }

    /// Returns what the server had to complain about.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// Writes a file that only this user may use.
pub(super) fn write_private(path: &Path, content: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).expect("a file can be written");
}
