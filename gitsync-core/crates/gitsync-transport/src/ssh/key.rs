//! Private keys, as the ssh program can read them by itself.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{LineEnding, PrivateKey};

/// The name of a key in the directory of the program.
const ON_DISK: &str = "key";

/// A key where the program can read it while this is there. A process that is killed leaves nothing of it on a disk, where the
/// system has files in memory.
pub(super) struct KeyFile {
    path: PathBuf,
    /// What the path leads to.
    _in_memory: Option<File>,
}

impl KeyFile {
    /// Writes a key into memory, or where that cannot be into a file of the directory that the program works in.
    pub(super) fn new(key: &SecretString, directory: &Path) -> io::Result<Self> {
        let content = key.expose_secret().as_bytes();
        if let Some((path, file)) = in_memory(content) {
            return Ok(KeyFile { path, _in_memory: Some(file) });
        }
        super::private_file(&directory.join(ON_DISK), content)?;
        Ok(KeyFile { path: PathBuf::from(ON_DISK), _in_memory: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a file that has no name but the one of this process's descriptor, and that other programs of ours do not inherit.
#[cfg(target_os = "linux")]
fn in_memory(content: &[u8]) -> Option<(PathBuf, File)> {
    use std::fs::Permissions;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    let mut file = File::from(rustix::fs::memfd_create("gitsync-key", rustix::fs::MemfdFlags::CLOEXEC).ok()?);
    // The program wants no key that others may read.
    file.set_permissions(Permissions::from_mode(0o600)).ok()?;
    file.write_all(content).ok()?;
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    // There need not be a /proc.
    File::open(&path).ok()?;
    Some((path, file))
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_content: &[u8]) -> Option<(PathBuf, File)> {
    None
}

/// Returns a key that is not encrypted, or what to do about it.
///
/// The passphrase is used here and goes no further: the program could only be told it by another program.
pub(super) fn readable(key: &SecretString, passphrase: Option<&SecretString>) -> Result<SecretString, String> {
    let text = key.expose_secret();
    let parsed = PrivateKey::from_openssh(text.trim_ascii());
    let encrypted = match &parsed {
        Ok(key) => key.is_encrypted(),
        // Of the older formats.
        Err(_) => text.lines().take(3).any(|line| line.contains("ENCRYPTED")),
    };
    if !encrypted {
        // One of a kind that is not understood here may be one of the program's. It wants its lines to end.
        return Ok(SecretString::from(format!("{}\n", text.trim_ascii())));
    }
    let Some(passphrase) = passphrase else {
        return Err("the key is encrypted; configure its passphrase too".to_owned());
    };
    let parsed = parsed.map_err(|_| {
        "an encrypted key has to be in the format of OpenSSH; `ssh-keygen -p -f KEY` rewrites it so".to_owned()
    })?;
    let open = parsed.decrypt(passphrase.expose_secret()).map_err(|_| "the passphrase is not that of the key")?;
    let text = open.to_openssh(LineEnding::LF).map_err(|error| format!("the key cannot be rewritten: {error}"))?;
    Ok(SecretString::from(text.as_str()))
}
