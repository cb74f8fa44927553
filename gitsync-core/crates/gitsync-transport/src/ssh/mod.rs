//! Services on other machines, reached by the ssh program of OpenSSH.
//!
//! The program reads no configuration, asks nobody anything, sees nothing of our environment, and is told which address to
//! connect to. It works in a directory of its own, which holds the host keys that are trusted; the private key is in memory where
//! that is possible ([`KeyFile`]), and else there too. So its arguments tell nothing but names. All of it is gone before the
//! first byte of the service is handed on.

mod explain;
mod key;
mod key_file;
mod known_hosts;

use std::fs::{OpenOptions, Permissions};
use std::io::{Cursor, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gitsync_core::source::{Credentials, SourceUrl};
use gitsync_core::transport::{CallLimits, Connection, Service};
use gitsync_core::{Error, ErrorKind, Result};
use tempfile::TempDir;

use self::explain::explain;
use self::key_file::KeyFile;
use crate::failure::{io_error, unusable};
use crate::limits::Guard;
use crate::shown::Shown;
use crate::socket::share;
use crate::{NetOptions, NetTransport, process};

/// The file in the directory of the program.
const KNOWN_HOSTS: &str = "known_hosts";

/// What holds whomever we connect to. What a configuration could have set is said all the same where it matters.
const OPTIONS: [&str; 22] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=none",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ProxyCommand=none",
    "ProxyJump=none",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "FingerprintHash=sha256",
    // Only so the fingerprint of a host key is told that is not known.
    "LogLevel=DEBUG1",
];

/// Starts a service of a source that has passed the policy.
pub(crate) fn connect(
    transport: &NetTransport,
    url: &SourceUrl,
    service: Service,
    version: u8,
    limits: &CallLimits,
) -> Result<Connection> {
    let (Some(host), Some(port)) = (url.host(), url.port()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "the source has no host").with("url", url));
    };
    let guard = Guard { limits: limits.clone(), idle: transport.options.idle_timeout };
    let addresses = guard.within(|| transport.resolver.resolve(host, port)).map_err(|error| io_error(&error, url))?;
    let client = Client::new(transport, url, guard)?;
    let end = Instant::now() + transport.options.connect_timeout;
    for (tried, address) in addresses.iter().enumerate() {
        let left = addresses.len() - tried;
        let command = client.command(*address, share(end, left), service, version);
        match client.start(command) {
            Err(error) if error.kind() == ErrorKind::SourceUnreachable && left > 1 => {}
            done => return done,
        }
    }
    Err(Error::new(ErrorKind::SourceUnreachable, "the host has no address").with("url", url))
}

/// What all attempts to reach a source share.
struct Client<'a> {
    options: &'a NetOptions,
    url: &'a SourceUrl,
    shown: &'a Shown,
    guard: Guard,
    /// Where the program works.
    directory: TempDir,
    key: Option<KeyFile>,
}

impl<'a> Client<'a> {
    /// Makes the directory that the program works in.
    fn new(transport: &'a NetTransport, url: &'a SourceUrl, guard: Guard) -> Result<Self> {
        let options = &transport.options;
        let known_hosts = known_hosts::trusted(options).map_err(|error| error.with("url", url))?;
        let credentials = transport.credentials.credentials(url)?;
        credentials.iter().for_each(|credentials| transport.shown.remember(url, credentials));
        let key = match credentials {
            None => None,
            Some(Credentials::SshKey { key, passphrase }) => {
                Some(key::readable(&key, passphrase.as_ref()).map_err(|hint| unusable(url, &hint))?)
            }
            Some(_) => return Err(unusable(url, "ssh sources take a private key")),
        };
        let of_this_user = Permissions::from_mode(0o700);
        let directory = tempfile::Builder::new().prefix("gitsync-ssh-").permissions(of_this_user).tempdir()?;
        private_file(&directory.path().join(KNOWN_HOSTS), &known_hosts)?;
        let key = key.map(|key| KeyFile::new(&key, directory.path())).transpose()?;
        Ok(Client { options, url, shown: &transport.shown, guard, directory, key })
    }

    fn command(&self, address: SocketAddr, time: Duration, service: Service, version: u8) -> Command {
        let mut command = process::command(&self.options.ssh_program);
        command.current_dir(self.directory.path()).args(["-F", "none", "-T"]);
        let of_this_call = [
            format!("HostName={}", address.ip()),
            format!("Port={}", address.port()),
            format!("HostKeyAlias={}", known_hosts::name_of(self.url)),
            format!("UserKnownHostsFile={KNOWN_HOSTS}"),
            format!("IdentityFile={}", self.key.as_ref().map_or("none".as_ref(), KeyFile::path).display()),
            format!("ConnectTimeout={}", time.as_millis().div_ceil(1000)),
        ];
        for option in OPTIONS.iter().copied().chain(of_this_call.iter().map(String::as_str)) {
            command.args(["-o", option]);
        }
        if let Some(user) = self.url.user() {
            command.args(["-l", user]);
        }
        if version == 2 {
            // Version 1 is asked for by silence. A server that does not take the variable speaks that as well.
            command.args(["-o", "SendEnv=GIT_PROTOCOL"]).env("GIT_PROTOCOL", "version=2");
        }
        command.args(["--", self.url.host_key().as_str()]).arg(remote_command(service, self.url.path()));
        command
    }

    /// Starts the program and waits until the service speaks, which is its part to begin.
    fn start(&self, command: Command) -> Result<Connection> {
        let failed = {
            let (url, has_key, shown) = (self.url.clone(), self.key.is_some(), self.shown.clone());
            move |complaint: &str| explain(shown.hide(&url, complaint).as_deref().unwrap_or(complaint), &url, has_key)
        };
        let started = process::connect(command, self.guard.clone(), Box::new(failed)).map_err(|error| {
            let error = error.with("url", self.url);
            match error.kind() {
                ErrorKind::Unsupported => {
                    error.hint("install OpenSSH's client (openssh-client), or use an https source")
                }
                _ => error,
            }
        });
        let Connection { mut reader, writer, guard } = started?;
        let mut first = [0];
        reader.read_exact(&mut first).map_err(|error| io_error(&error, self.url))?;
        Ok(Connection { reader: Box::new(Cursor::new(first).chain(reader)), writer, guard })
    }
}

/// Writes a file that nobody else can read.
fn private_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(content)?)
}

/// Writes what the shell of the other machine is to run, as git does.
fn remote_command(service: Service, path: &str) -> String {
    format!("{} '{}'", service.as_str(), path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_the_other_machine_sees_the_path_as_one_word() {
        let command = |url: &str| {
            let url: SourceUrl = url.parse().unwrap();
            remote_command(Service::UploadPack, url.path())
        };
        let table = [
            ("ssh://git@host/team/app.git", "git-upload-pack '/team/app.git'"),
            ("git@host:team/app.git", "git-upload-pack 'team/app.git'"),
            ("ssh://git@host/~me/app", "git-upload-pack '~me/app'"),
            ("ssh://git@host/%7Eme/app", "git-upload-pack '/~me/app'"),
            ("git@host:it's;id!", r"git-upload-pack 'it'\''s;id'\!''"),
            ("git@host:$(id) `id`", "git-upload-pack '$(id) `id`'"),
        ];
        for (url, expected) in table {
            assert_eq!(command(url), expected, "{url}");
        }
    }
}
