//! Repositories on this machine, read by `git upload-pack` and pushed to by `git receive-pack`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gitsync_core::source::{SourceUrl, redact};
use gitsync_core::transport::{CallLimits, Connection, Service};
use gitsync_core::{Error, ErrorKind, Result};

use crate::limits::Guard;
use crate::{NetTransport, parts, process};

/// What the configuration of a repository could make git run when it is pushed to, and what holds instead: whoever may write
/// in the repository would else decide what this user does.
const NOTHING_RUNS: [(&str, &str); 4] = [
    ("core.hooksPath", "/dev/null"),
    ("core.alternateRefsCommand", "true"),
    // Upkeep is the owner's business, and a working tree is not ours to check out.
    ("receive.autogc", "false"),
    ("receive.denyCurrentBranch", "refuse"),
];

/// Starts a service on a repository whose path has passed the policy.
pub(crate) fn connect(
    transport: &NetTransport,
    url: &SourceUrl,
    service: Service,
    version: u8,
    limits: &CallLimits,
) -> Result<Connection> {
    let policy = &transport.policy;
    let place = |path: &Path| match service {
        Service::UploadPack => policy.check_file_path(path),
        Service::ReceivePack => policy.check_push_path(path),
    };
    let directory = repository_at(&place, url)?;
    parts::check(&directory, service, &place, limits).map_err(|error| error.with("url", url))?;
    let mut command = process::command(&transport.options.git_program);
    // Nothing of the user's and of the system's configuration reaches the program either.
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        // A partial clone would fetch what it lacks from its own upstream, past every policy.
        .env("GIT_NO_LAZY_FETCH", "1");
    // The roots say whose repositories are used; git's own question about the owner is answered by them.
    let owner = ("safe.directory", directory.as_os_str());
    let overridden = match service {
        Service::UploadPack => &[][..],
        Service::ReceivePack => &NOTHING_RUNS[..],
    };
    let settings = overridden.iter().map(|(key, value)| (*key, OsStr::new(*value))).chain([owner]);
    for (number, (key, value)) in settings.enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.env("GIT_CONFIG_COUNT", (overridden.len() + 1).to_string());
    if matches!(version, 1 | 2) {
        command.env("GIT_PROTOCOL", format!("version={version}"));
    }
    match service {
        // Strict: exactly this directory, without looking for others with similar names.
        Service::UploadPack => command.args(["upload-pack", "--strict"]),
        Service::ReceivePack => command.arg("receive-pack"),
    };
    command.arg(&directory).current_dir(&directory);
    let url = url.clone();
    let guard = Guard { limits: limits.clone(), idle: process::NO_IDLE_LIMIT };
    process::connect(command, guard, Box::new(move |complaint| explain(complaint, service, &url)))
}

/// Returns the git directory of a bare repository or of one with a working tree.
fn repository_at(place: &parts::Place<'_>, url: &SourceUrl) -> Result<PathBuf> {
    let path = place(Path::new(url.path()))?;
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
        // Not being strict, git would prefer one inside.
        Ok(_) if inner.join(".git").symlink_metadata().is_ok() => {
            Err(not_found("there is a .git in its .git directory; remove one of them"))
        }
        Ok(_) => place(&inner),
        Err(_) if ["HEAD", "objects"].iter().all(|part| path.join(part).symlink_metadata().is_ok()) => Ok(path),
        Err(_) => Err(not_found("check the path")),
    }
}

fn explain(complaint: &str, service: Service, url: &SourceUrl) -> Error {
    let (denied, failed) = match service {
        Service::UploadPack => ("the repository may not be read", "reading the repository failed"),
        Service::ReceivePack => ("the repository may not be written", "pushing to the repository failed"),
    };
    let (kind, message) = if complaint.contains("not a git repository") || complaint.contains("not appear to be a git")
    {
        (ErrorKind::SourceNotFound, "there is no repository at this path")
    } else if complaint.contains("Permission denied") || complaint.contains("dubious ownership") {
        (ErrorKind::PermissionDenied, denied)
    } else {
        (ErrorKind::SourceUnreachable, failed)
    };
    Error::new(kind, message).with("url", url).with("reason", redact(complaint))
}
