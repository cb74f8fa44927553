//! Files of settings that are read again when they change.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Result};

/// How long a look at the file is good for.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// How old a change has to be so that the next one has another time: file systems count in ticks.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// What others than its owner may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// What the administrator lets them.
    Any,
    /// Read it: what is in there says whom we trust. The owner is this user or root.
    Read,
    /// Nothing: the file holds secrets. The owner is this user or root.
    None,
}

/// A TOML file of settings, in memory, that is looked at once a second at most, when somebody asks for it.
///
/// A file that changed is read again, and takes effect whole. If what it says then makes no sense, what it said before stays
/// in use, and an error is logged, once: a slip of the pen changes nothing. Neither errors nor logs show what the file says.
pub struct WatchedFile<T> {
    /// What the file is called in errors, such as `tokens file`.
    name: &'static str,
    path: PathBuf,
    access: Access,
    parse: Parse<T>,
    clock: Arc<dyn Clock>,
    state: Mutex<State<T>>,
}

type Parse<T> = Box<dyn Fn(&str) -> Result<T> + Send + Sync>;

struct State<T> {
    content: Arc<T>,
    /// In which state the file was when it was read; `None` if it could not be read since.
    version: Option<Version>,
    /// Whether a later change is certain to be another version.
    is_settled: bool,
    looked_at: Timestamp,
    /// What was wrong at the last look.
    complaint: Option<String>,
}

impl<T> fmt::Debug for WatchedFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<T> WatchedFile<T> {
    /// Reads a file that is called `name` in errors; `check` makes of what is in there what is used.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it cannot be read, gives others than its owner more access than it should, or makes no sense; the message
    /// says where.
    pub fn open<C: DeserializeOwned>(
        name: &'static str,
        path: impl Into<PathBuf>,
        access: Access,
        check: impl Fn(C) -> Result<T> + Send + Sync + 'static,
    ) -> Result<Self> {
        let path = path.into();
        let parse: Parse<T> = Box::new(move |text| check(parse_toml(text)?));
        let begun = SystemTime::now();
        let (content, version) = load(name, &path, access, &parse)?;
        let state = State {
            content: Arc::new(content),
            is_settled: version.is_settled(begun),
            version: Some(version),
            looked_at: Timestamp::default(),
            complaint: None,
        };
        Ok(WatchedFile { name, path, access, parse, clock: Arc::new(SystemClock), state: Mutex::new(state) })
    }

    /// Sets the clock by which the file is looked at.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns what the file says by now.
    pub fn content(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        // A clock that was set back must not keep a revoked secret alive.
        if now < state.looked_at || now.since(state.looked_at) >= LOOK_EVERY {
            state.looked_at = now;
            self.look(&mut state);
        }
        Arc::clone(&state.content)
    }

    /// Reads the file again if it changed. One small local file at most once a second: not worth a thread of its own.
    fn look(&self, state: &mut State<T>) {
        let found = std::fs::metadata(&self.path).ok().map(|data| Version::of(&data));
        if state.is_settled && found.is_some() && found == state.version {
            return;
        }
        let begun = SystemTime::now();
        match load(self.name, &self.path, self.access, &self.parse) {
            Ok((content, version)) => {
                if state.version != Some(version) {
                    tracing::info!(file = %self.path.display(), "the {} was read again", self.name);
                }
                state.is_settled = version.is_settled(begun);
                (state.content, state.version, state.complaint) = (Arc::new(content), Some(version), None);
            }
            // It is tried again until it can be read, whether or not the file changes: a revoked secret is not to live on.
            Err(error) => {
                let complaint = error.to_string();
                // What is wrong is said once, not every second.
                if state.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "the {} cannot be read again, what it said before stays", self.name);
                }
                (state.version, state.complaint) = (None, Some(complaint));
            }
        }
    }
}

/// What tells one state of a file from the next. The time is that of the last change of content or rights, which nobody can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    bytes: u64,
}

impl Version {
    fn of(data: &Metadata) -> Self {
        Version { device: data.dev(), inode: data.ino(), changed: (data.ctime(), data.ctime_nsec()), bytes: data.len() }
    }

    /// Tells whether a later change is certain to be another version.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or_default());
        now.saturating_sub(changed) > SETTLED_AFTER
    }
}

/// Reads what is in a file, and tells in which state it was.
fn load<T>(name: &str, path: &Path, access: Access, parse: &Parse<T>) -> Result<(T, Version)> {
    let (text, version) = read(name, path, access)?;
    let content = parse(text.expose_secret()).map_err(|error| unusable(name, path, &error.to_string()))?;
    Ok((content, version))
}

/// Reads a TOML file of settings, once; `name` is what it is called in errors, which do not show what the file says.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if that cannot be done, if others than its owner may do more with the file than they should, or if
/// it makes no sense; the message says where.
pub fn read_toml<C: DeserializeOwned>(name: &str, path: &Path, access: Access) -> Result<C> {
    let text = read_text(name, path, access)?;
    parse_toml(text.expose_secret()).map_err(|error| unusable(name, path, &error.to_string()))
}

/// Reads a small regular file as a text; `name` is what it is called in errors.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if that cannot be done, or if others than its owner may do more with the file than they should.
pub fn read_text(name: &str, path: &Path, access: Access) -> Result<SecretString> {
    read(name, path, access).map(|(text, _)| text)
}

fn read(name: &str, path: &Path, access: Access) -> Result<(SecretString, Version)> {
    let failed = |error: std::io::Error| unusable(name, path, &error.to_string());
    let (file, data) = open(name, path, access)?;
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let text = SecretString::from(text);
    read.map_err(failed)?;
    if text.expose_secret().len() as u64 > MAX_FILE_BYTES {
        return Err(unusable(name, path, "it is too large"));
    }
    // A change since then is found at the next look.
    Ok((text, Version::of(&data)))
}

/// Opens a regular file. What is judged is what was opened, whatever the path leads to by then.
fn open(name: &str, path: &Path, access: Access) -> Result<(File, Metadata)> {
    let failed = |error: std::io::Error| unusable(name, path, &error.to_string());
    // To open a pipe could take for ever without it; to a regular file it means nothing.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let data = file.metadata().map_err(failed)?;
    if !data.is_file() {
        return Err(unusable(name, path, "it is not a regular file"));
    }
    let (forbidden, what, cure) = match access {
        Access::Any => return Ok((file, data)),
        Access::Read => (0o022, "write", "chmod go-w"),
        Access::None => (0o077, "use", "chmod 0600"),
    };
    let mode = data.mode() & 0o7777;
    if mode & forbidden != 0 {
        let why = format!("others than its owner may {what} it (mode {mode:04o})");
        return Err(unusable(name, path, &why).hint(cure));
    }
    if data.uid() != 0 && data.uid() != rustix::process::geteuid().as_raw() {
        return Err(unusable(name, path, "it belongs to another user").hint("it has to be this user's, or root's"));
    }
    Ok((file, data))
}

fn unusable(name: &str, path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the {name} cannot be used: {why}")).with("file", path.display())
}

/// Reads TOML. The parser's own message shows what is there, and so perhaps a secret.
fn parse_toml<C: DeserializeOwned>(text: &str) -> Result<C> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        let why = match error.message() {
            message if message.starts_with("missing field ") => message.to_owned(),
            message => match message.rsplit_once(", expected ") {
                Some((_, expected)) => format!("expected {expected}"),
                None => "this is no TOML".to_owned(),
            },
        };
        Error::new(ErrorKind::InvalidInput, format!("line {line}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink(&pipe, dir.path().join("link")).unwrap();
        for path in [pipe, dir.path().join("link"), dir.path().to_owned(), "/dev/zero".into()] {
            let error = read_text("file", &path, Access::Any).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("regular file"), "{error}");
        }
    }

    #[test]
    fn links_are_followed_to_the_file_whose_rights_count() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for (mode, may_be_read, may_be_secret) in
            [(0o600, true, true), (0o644, true, false), (0o664, false, false), (0o642, false, false)]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let is_read = |access| read_text("file", &link, access).is_ok();
            let expected = (true, may_be_read, may_be_secret);
            assert_eq!((is_read(Access::Any), is_read(Access::Read), is_read(Access::None)), expected, "{mode:o}");
        }
    }
}
