//! Repositories on this machine, read by `git upload-pack`.

use std::path::{Path, PathBuf};
use std::process::Command;

use gitsync_core::source::{SourceUrl, redact};
use gitsync_core::transport::{CallLimits, Connection, Service};
use gitsync_core::{Error, ErrorKind, Result};

use crate::{NetTransport, parts, process};

/// Starts a service on a repository whose path has passed the policy.
pub(crate) fn connect(
    transport: &NetTransport,
    url: &SourceUrl,
    service: Service,
    version: u8,
    limits: &CallLimits,
) -> Result<Connection> {
    if service != Service::UploadPack {
        return Err(Error::new(ErrorKind::Unsupported, "file sources are only read").with("url", url));
    }
    let directory = repository_at(transport, url)?;
    parts::check(&transport.policy, &directory, limits).map_err(|error| error.with("url", url))?;
    let mut command = Command::new(&transport.options.git_program);
    // Nothing of the environment, of the user's and of the system's configuration reaches the program.
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        // The file roots say whose repositories are read; git's own question about the owner is answered by them.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", &directory)
        // A partial clone would fetch what it lacks from its own upstream, past every policy.
        .env("GIT_NO_LAZY_FETCH", "1");
    if matches!(version, 1 | 2) {
        command.env("GIT_PROTOCOL", format!("version={version}"));
    }
    // Strict: exactly this directory, without looking for others with similar names.
    command.args(["upload-pack", "--strict"]).arg(&directory).current_dir(&directory);
    let url = url.clone();
    process::connect(command, limits, Box::new(move |complaint| explain(complaint, &url)))
}

/// Returns the git directory of a bare repository or of one with a working tree.
fn repository_at(transport: &NetTransport, url: &SourceUrl) -> Result<PathBuf> {
    let path = transport.policy.check_file_path(Path::new(url.path()))?;
    let inner = path.join(".git");
    let not_found = |hint: &str| {
        Error::new(ErrorKind::SourceNotFound, "there is no repository at this path").with("url", url).hint(hint)
    };
    match inner.symlink_metadata() {
        // It leads anywhere, and git would follow.
        Ok(metadata) if metadata.is_file() => {
            Err(not_found("this is a linked working tree; use the repository it belongs to"))
        }
        // A link is followed by the policy, which then sees where it ends.
        Ok(_) => transport.policy.check_file_path(&inner),
        Err(_) if ["HEAD", "objects"].iter().all(|part| path.join(part).symlink_metadata().is_ok()) => Ok(path),
        Err(_) => Err(not_found("check the path")),
    }
}

fn explain(complaint: &str, url: &SourceUrl) -> Error {
    let (kind, message) = if complaint.contains("not a git repository") || complaint.contains("not appear to be a git")
    {
        (ErrorKind::SourceNotFound, "there is no repository at this path")
    } else if complaint.contains("Permission denied") || complaint.contains("dubious ownership") {
        (ErrorKind::PermissionDenied, "the repository may not be read")
    } else {
        (ErrorKind::SourceUnreachable, "reading the repository failed")
    };
    Error::new(kind, message).with("url", url).with("reason", redact(complaint))
}
