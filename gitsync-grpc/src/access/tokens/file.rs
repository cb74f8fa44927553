//! What a file of tokens says.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::SystemTime;

use gitsync_core::model::Slug;
use gitsync_core::rules::MAX_OWNER_BYTES;
use gitsync_core::store::MAX_FILTER_ORGANISATIONS;
use gitsync_core::watched_file::{Access, WatchedFile};
use gitsync_core::{Error, ErrorKind, Result, Timestamp};
use serde::Deserialize;

use crate::access::{Principal, Role};

/// The most tokens of a file; each request is compared with all of them.
const MAX_TOKENS: usize = 10_000;

/// The most roles of a token, for which each list is searched.
const MAX_ROLES: usize = MAX_FILTER_ORGANISATIONS;

/// The name of all organisations in the file.
const EVERYWHERE: &str = "*";

/// A token that was checked.
pub(super) struct Token {
    pub(super) hash: [u8; 32],
    pub(super) expires_at: Option<Timestamp>,
    pub(super) principal: Principal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    roles: BTreeMap<String, Role>,
    expires_at: Option<String>,
}

/// What errors call the file.
const NAME: &str = "tokens file";

/// Reads a file of tokens, now and whenever it changes. It holds hashes alone, so that others may read it.
pub(super) fn open(path: PathBuf) -> Result<WatchedFile<Vec<Token>>> {
    WatchedFile::open(NAME, path, Access::Any, Content::check)
}

impl Content {
    /// Checks each token, and that none is like another: who did what must be plain, and a revoked token gone.
    fn check(self) -> Result<Vec<Token>> {
        if self.tokens.len() > MAX_TOKENS {
            return Err(Error::new(ErrorKind::InvalidInput, format!("it has more than {MAX_TOKENS} tokens")));
        }
        let tokens = self.tokens.into_iter().map(Entry::check).collect::<Result<Vec<_>>>()?;
        let (mut names, mut hashes) = (HashSet::new(), HashSet::new());
        for token in &tokens {
            let name = token.principal.name();
            let twice = |what: &str| Error::new(ErrorKind::InvalidInput, what).with("token", name.escape_debug());
            if !names.insert(name) {
                return Err(twice("two tokens have the same name"));
            }
            if !hashes.insert(token.hash) {
                return Err(twice("another token has the same sha256"));
            }
        }
        Ok(tokens)
    }
}

impl Entry {
    fn check(self) -> Result<Token> {
        let wrong = |what: &str| Error::new(ErrorKind::InvalidInput, what).with("token", self.name.escape_debug());
        if self.name.trim().is_empty() || self.name.len() > MAX_OWNER_BYTES {
            return Err(wrong("a name has 1 to 255 bytes, and not only spaces"));
        }
        let hash = digest(&self.sha256).ok_or_else(|| wrong("sha256 is 64 hexadecimal digits"))?;
        let expires_at = match &self.expires_at {
            None => None,
            Some(text) => Some(moment(text).ok_or_else(|| wrong("expires_at is like 2030-01-01T00:00:00Z"))?),
        };
        if self.roles.len() > MAX_ROLES {
            return Err(wrong("a token has roles in 1,000 organisations at most; give it one in all of them"));
        }
        let mut principal = Principal::new(self.name.as_str());
        for (organisation, role) in &self.roles {
            principal = match organisation.as_str() {
                EVERYWHERE => principal.with_role_everywhere(*role),
                slug => principal.with_role(slug.parse::<Slug>().map_err(|error| wrong(error.message()))?, *role),
            };
        }
        Ok(Token { hash, expires_at, principal })
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn moment(text: &str) -> Option<Timestamp> {
    let since = humantime::parse_rfc3339_weak(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::access::{TokensFile, hash_token};

    pub(in crate::access::tokens) fn entry(name: &str, more: &str) -> String {
        let hash = hash_token(&format!("token-{name}"));
        format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nroles = {{ acme = \"writer\" }}\n{more}\n")
    }

    #[test]
    fn a_file_that_makes_no_sense_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.toml");
        let good = entry("a", "");
        let hash = hash_token("token-a");
        let bad = [
            good.replace(&hash, &hash[1..]),
            good.replace("writer", "owner"),
            good.replace("acme", "Not a slug"),
            good.replace("sha256", "md5"),
            entry("a", "expires_at = \"soon\""),
            entry("a", "more = 1"),
            "tokens".to_owned(),
            entry("", ""),
            entry("  ", ""),
            entry(&"a".repeat(256), ""),
            good.repeat(2),
            format!("{good}{}", good.replace("name = \"a\"", "name = \"b\"")),
            format!("{good}{}", good.replace(&hash, &hash_token("another"))),
        ];
        for text in bad {
            fs::write(&path, &text).unwrap();
            let error = TokensFile::open(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?}").contains(&hash[1..]), "{error:?}");
        }
        assert!(TokensFile::open(dir.path().join("missing")).is_err());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe, dir.path().to_owned()] {
            let (sender, opened) = mpsc::channel();
            thread::spawn(move || sender.send(TokensFile::open(path).map(drop)));
            let error = opened.recv_timeout(Duration::from_secs(60)).expect("it is waited for").unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
}
