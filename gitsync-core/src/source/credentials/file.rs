//! Credentials from a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use super::scope::closest;
use super::{CredentialKind, CredentialProvider, CredentialScope, Credentials};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::source::SourceUrl;
use crate::watched_file::{Access, WatchedFile, read_text};

/// What errors call the file.
const NAME: &str = "credentials file";

/// The most entries of a file; each source is compared with all of them.
const MAX_ENTRIES: usize = 10_000;

/// The user that a token is sent with where none is given. Most forges look at the token alone.
pub const TOKEN_USER: &str = "x-access-token";

/// Credentials from a TOML file that only its owner may read:
///
/// ```toml
/// [[credentials]]
/// host = "github.com"
/// token = "…"                   # sent with the user `x-access-token`, which forges do not look at; or set `user`
///
/// [[credentials]]
/// host = "github.com"
/// path = "/acme"                # only for what lies below: /acme/app, but not /acme-tools/app
/// token = "…"
///
/// [[credentials]]
/// host = "git.example.com:8443" # without a port: only on the usual port of the scheme
/// user = "mirror"
/// password = "…"
///
/// [[credentials]]
/// host = "*.example.org"        # every name below example.org, but not itself
/// bearer = "…"                  # for an `Authorization: Bearer` header
///
/// [[credentials]]
/// host = "github.com"
/// ssh_key_file = "keys/github"  # relative to this file, and as private; or the key itself: ssh_key = "…"
/// passphrase = "…"              # if it has one
/// ```
///
/// Keys are for ssh sources, all else for https (and http, where the transport allows that). An exact host goes before a
/// pattern, then the longest path wins, then an entry with a port. A path is compared by whole parts, to the letter, with or
/// without `.git` at its end. Two entries for the same are an error.
///
/// The file belongs to the user of the process or to root, and its mode is 0600 or less. One that changes is read again within
/// a second, see [`WatchedFile`]: from the next call on its new credentials are used. Files of keys are read whenever they are
/// needed.
#[derive(Debug)]
pub struct FileCredentials {
    file: WatchedFile<Vec<Entry>>,
}

impl FileCredentials {
    /// Reads a file of credentials.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it, or a file of a key, cannot be read, may be used by others than its owner, or makes
    /// no sense; the message says where.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let check = move |content: Content| content.check(&directory);
        Ok(FileCredentials { file: WatchedFile::open(NAME, path, Access::None, check)? })
    }

    /// Sets the clock by which the file is looked at.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.file = self.file.clock(clock);
        self
    }
}

impl CredentialProvider for FileCredentials {
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
        let entries = self.file.content();
        let found = closest(&entries, source, |entry| (&entry.scope, entry.secret.kind()));
        found.map(|entry| entry.secret.credentials()).transpose()
    }
}

/// An entry that was checked.
#[derive(Debug)]
struct Entry {
    scope: CredentialScope,
    secret: Secret,
}

#[derive(Debug)]
enum Secret {
    Given(Credentials),
    KeyFile { path: PathBuf, passphrase: Option<SecretString> },
}

impl Secret {
    fn kind(&self) -> CredentialKind {
        match self {
            Secret::Given(credentials) => credentials.kind(),
            Secret::KeyFile { .. } => CredentialKind::SshKey,
        }
    }

    fn credentials(&self) -> Result<Credentials> {
        match self {
            Secret::Given(credentials) => Ok(credentials.clone()),
            Secret::KeyFile { path, passphrase } => {
                let key = read_text("file of a private key", path, Access::None)?;
                Ok(Credentials::SshKey { key, passphrase: passphrase.clone() })
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    credentials: Vec<Written>,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: String,
    path: Option<String>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    bearer: Option<String>,
    ssh_key: Option<String>,
    ssh_key_file: Option<PathBuf>,
    passphrase: Option<String>,
}

impl Content {
    fn check(self, directory: &Path) -> Result<Vec<Entry>> {
        if self.credentials.len() > MAX_ENTRIES {
            return Err(invalid(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let mut entries = Vec::with_capacity(self.credentials.len());
        for (index, written) in self.credentials.into_iter().enumerate() {
            // Counted, not named: what stands in the place of a host could be anything.
            entries.push(written.check(directory).map_err(|error| error.with("entry", index + 1))?);
        }
        let mut known = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Some(other) = known.insert((&entry.scope, entry.secret.kind().is_key()), index) {
                let error = invalid("two entries are for the same host and path");
                return Err(error.with("entry", other + 1).with("entry", index + 1));
            }
        }
        Ok(entries)
    }
}

impl Written {
    fn check(self, directory: &Path) -> Result<Entry> {
        let scope = CredentialScope::parse(&self.host, self.path.as_deref().unwrap_or_default())?;
        let of = |user: String, password: String| Credentials::UserPassword { user, password: password.into() };
        let passphrase = self.passphrase.map(SecretString::from);
        let is_key = self.ssh_key.is_some() || self.ssh_key_file.is_some();
        if passphrase.is_some() && !is_key {
            return Err(invalid("a passphrase belongs to an ssh_key or ssh_key_file"));
        }
        if self.user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(invalid("a user has no colon"));
        }
        let secret = match (self.user, self.password, self.token, self.bearer, self.ssh_key, self.ssh_key_file) {
            (Some(user), Some(password), None, None, None, None) => Secret::Given(of(user, password)),
            (user, None, Some(token), None, None, None) => {
                Secret::Given(of(user.unwrap_or_else(|| TOKEN_USER.to_owned()), token))
            }
            (None, None, None, Some(token), None, None) => Secret::Given(Credentials::Bearer(token.into())),
            (None, None, None, None, Some(key), None) => {
                Secret::Given(Credentials::SshKey { key: key.into(), passphrase })
            }
            (None, None, None, None, None, Some(path)) => Secret::KeyFile { path: directory.join(path), passphrase },
            _ => {
                return Err(invalid(
                    "an entry has one of: user and password, token (and a user, if that matters), bearer, ssh_key, ssh_key_file",
                ));
            }
        };
        if let Secret::KeyFile { .. } = &secret {
            secret.credentials()?;
        }
        Ok(Entry { scope, secret })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use secrecy::ExposeSecret as _;
    use tempfile::TempDir;

    use super::*;
    use crate::testing::ManualClock;
    use crate::watched_file::LOOK_EVERY;

    const SECRET: &str = "s3cret-value";

    fn write(dir: &TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn open(text: &str) -> Result<FileCredentials> {
        let dir = tempfile::tempdir().unwrap();
        FileCredentials::open(write(&dir, "credentials.toml", text, 0o600))
    }

    /// Returns the kind, the user and the secret for a source.
    fn found(provider: &dyn CredentialProvider, source: &str) -> Option<String> {
        let credentials = provider.credentials(&source.parse().unwrap()).unwrap()?;
        Some(match credentials {
            Credentials::UserPassword { user, password } => format!("{user}:{}", password.expose_secret()),
            Credentials::Bearer(token) => format!("bearer {}", token.expose_secret()),
            Credentials::SshKey { key, passphrase } => {
                let passphrase = passphrase.as_ref().map(SecretString::expose_secret);
                format!("key {} {}", key.expose_secret(), passphrase.unwrap_or_default())
            }
        })
    }

    #[test]
    fn every_kind_is_found_by_the_closest_entry_for_the_scheme() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir, "key", "the key", 0o400);
        let text = r#"
            credentials = [
                { host = "github.com", token = "t" },
                { host = "github.com", path = "/acme", user = "me", token = "u" },
                { host = "github.com", path = "/acme/app", user = "me", password = "p" },
                { host = "*.example.org", bearer = "b" },
                { host = "github.com", ssh_key_file = "key", passphrase = "pass" },
                { host = "git.example.org", path = "team", ssh_key = "inline" },
            ]"#;
        let provider = FileCredentials::open(write(&dir, "credentials.toml", text, 0o600)).unwrap();
        let table = [
            ("https://github.com/other/app", Some("x-access-token:t")),
            ("https://github.com/acme-tools/app", Some("x-access-token:t")),
            ("https://github.com/acme/tools", Some("me:u")),
            ("https://github.com/acme/app.git", Some("me:p")),
            ("http://github.com/acme/app", Some("me:p")),
            ("https://git.example.org/team/app", Some("bearer b")),
            ("git@github.com:acme/app", Some("key the key pass")),
            ("git@git.example.org:team/app", Some("key inline ")),
            ("git@git.example.org:other/app", None),
            ("https://example.org/team/app", None),
            ("git://github.com/acme/app", None),
            ("/acme/app", None),
        ];
        for (source, expected) in table {
            assert_eq!(found(&provider, source).as_deref(), expected, "{source}");
        }
        write(&dir, "key", "a new key", 0o400);
        assert_eq!(found(&provider, "git@github.com:acme/app").unwrap(), "key a new key pass");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_without_showing_it() {
        let entry = |more: &str| format!("[[credentials]]\nhost = \"a.example\"\n{more}\n");
        let token = entry(&format!("token = \"{SECRET}\""));
        let bad = [
            entry(""),
            entry(&format!("password = \"{SECRET}\"")),
            entry(&format!("token = \"a\"\nbearer = \"{SECRET}\"")),
            entry(&format!("user = \"me\"\nbearer = \"{SECRET}\"")),
            entry(&format!("token = \"a\"\npassphrase = \"{SECRET}\"")),
            entry(&format!("user = \"me:{SECRET}\"\ntoken = \"a\"")),
            entry(&format!("token = [\"{SECRET}\"]")),
            entry(&format!("token = \"{SECRET}")),
            entry(&format!("token = {SECRET}")),
            entry(&format!("token \"{SECRET}\"")),
            entry(&format!("{SECRET} = 1")),
            entry("ssh_key_file = \"missing\""),
            format!("credentials = \"{SECRET}\""),
            format!("credentials = \"{SECRET}, expected\""),
            token.replace("a.example", "10.0.0.0/8"),
            token.replace("a.example", "*"),
            token.repeat(2),
            format!("{token}{}", token.replace("token", "path = \"/\"\nbearer")),
        ];
        for text in bad {
            let error = open(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?} {error}").contains(SECRET), "{error:?}");
        }
        let error = open(&format!("{token}\n[[credentials]]\nhost = \"b.example\"\ncolour = 1")).unwrap_err();
        assert!(error.to_string().contains("line 7: expected one of `host`, `path`"), "{error}");
        let provider = open(&token).unwrap();
        assert!(!format!("{provider:?}").contains(SECRET));
    }

    #[test]
    fn only_its_owner_may_use_the_file_and_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let token = "[[credentials]]\nhost = \"a.example\"\ntoken = \"t\"\n";
        for mode in [0o640, 0o604, 0o610, 0o602] {
            let error = FileCredentials::open(write(&dir, "credentials.toml", token, mode)).unwrap_err();
            assert!(error.to_string().contains("others than its owner"), "{mode:o}: {error}");
            assert!(error.hint_text().unwrap().contains("0600"));
        }
        assert!(FileCredentials::open(write(&dir, "credentials.toml", token, 0o400)).is_ok());

        write(&dir, "key", SECRET, 0o640);
        let key = "[[credentials]]\nhost = \"a.example\"\nssh_key_file = \"key\"\n";
        let error = FileCredentials::open(write(&dir, "credentials.toml", key, 0o600)).unwrap_err();
        assert!(error.to_string().contains("private key cannot be used: others than its owner"), "{error}");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
        let token = |token: &str| {
            let text = format!("[[credentials]]\nhost = \"a.example\"\ntoken = \"{token}\"\n");
            write(&dir, "credentials.toml", &text, 0o600)
        };
        let provider = FileCredentials::open(token("one")).unwrap().clock(Arc::new(clock.clone()));
        let is = |expected: &str| {
            let found = found(&provider, "https://a.example/app").unwrap();
            assert_eq!(found, format!("x-access-token:{expected}"));
        };
        is("one");
        // Of the same length, in the same moment.
        token("two");
        is("one");
        clock.advance(LOOK_EVERY);
        is("two");
        write(&dir, "credentials.toml", "[[credentials]]\nhost = 1", 0o600);
        clock.advance(LOOK_EVERY);
        is("two");
        // Nobody else's secrets are taken for ours.
        fs::set_permissions(token("three"), fs::Permissions::from_mode(0o644)).unwrap();
        clock.advance(LOOK_EVERY);
        is("two");
        let path = token("three");
        clock.advance(LOOK_EVERY);
        is("three");
        fs::remove_file(path).unwrap();
        clock.advance(LOOK_EVERY);
        is("three");
    }
}
