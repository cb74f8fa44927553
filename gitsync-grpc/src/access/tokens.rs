//! Tokens from a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gitsync_core::model::Slug;
use gitsync_core::store::MAX_FILTER_ORGANISATIONS;
use gitsync_core::{Clock, Error, ErrorKind, Result, SystemClock, Timestamp};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Authorizer, Principal, Role};

/// How long a look at the file is good for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The most tokens of a file; each request is compared with all of them.
const MAX_TOKENS: usize = 10_000;

/// The most roles of a token, for which each list is searched.
const MAX_ROLES: usize = MAX_FILTER_ORGANISATIONS;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 4096;

/// The name of all organisations in the file.
const EVERYWHERE: &str = "*";

/// Callers by their bearer tokens, of which a TOML file has the hashes:
///
/// ```toml
/// [[tokens]]
/// name = "ci"
/// sha256 = "…"                              # `hash_token(token)`
/// roles = { acme = "writer", "*" = "reader" }
/// expires_at = "2030-01-01T00:00:00Z"       # or not at all
/// ```
///
/// A file that changes is read again within a second. If what it says then makes no sense, the tokens of before stay, and an
/// error is logged: a slip of the pen locks nobody out.
pub struct TokensFile {
    path: PathBuf,
    public_reads: bool,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    tokens: Arc<Vec<Token>>,
    version: Option<Version>,
    looked_at: Timestamp,
    /// What was wrong at the last look.
    complaint: Option<String>,
}

/// What tells one state of the file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    modified: Option<SystemTime>,
    bytes: u64,
}

struct Token {
    hash: [u8; 32],
    expires_at: Option<Timestamp>,
    principal: Principal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileContent {
    #[serde(default)]
    tokens: Vec<FileToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToken {
    name: String,
    sha256: String,
    roles: BTreeMap<String, Role>,
    expires_at: Option<String>,
}

impl std::fmt::Debug for TokensFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokensFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TokensFile {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it cannot be read or makes no sense; the message says where.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let version = version(&path)?;
        let tokens = Arc::new(read(&path)?);
        let state = State { tokens, version: Some(version), looked_at: Timestamp::default(), complaint: None };
        Ok(TokensFile { path, public_reads: false, clock: Arc::new(SystemClock), state: Mutex::new(state) })
    }

    /// Sets whether public repositories may be read without a token, or without a role in their organisation. Default: no.
    #[must_use]
    pub fn public_reads(mut self, allowed: bool) -> Self {
        self.public_reads = allowed;
        self
    }

    /// Sets the clock by which tokens expire, and the file is looked at.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the tokens as they are by now.
    fn tokens(&self) -> Arc<Vec<Token>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        // A clock that was set back must not keep a revoked token alive.
        if now < state.looked_at || now.since(state.looked_at) >= LOOK_EVERY {
            state.looked_at = now;
            self.look(&mut state);
        }
        Arc::clone(&state.tokens)
    }

    /// Reads the file again if it changed. One small local file at most once a second: not worth a thread of its own.
    fn look(&self, state: &mut State) {
        let found = version(&self.path);
        if found.is_ok() && found.as_ref().ok() == state.version.as_ref() {
            return;
        }
        match found.and_then(|version| Ok((version, read(&self.path)?))) {
            Ok((version, tokens)) => {
                tracing::info!(tokens = tokens.len(), "the tokens were read again");
                (state.tokens, state.version, state.complaint) = (Arc::new(tokens), Some(version), None);
            }
            // It is tried again until it can be read, whether or not the file changes: a revoked token is not to live on.
            Err(error) => {
                let complaint = error.to_string();
                // What is wrong is said once, not every second.
                if state.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "the tokens cannot be read again, those of before stay");
                }
                (state.version, state.complaint) = (None, Some(complaint));
            }
        }
    }
}

#[async_trait]
impl Authorizer for TokensFile {
    async fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
        let Some(token) = token else {
            if self.public_reads {
                return Ok(Principal::anonymous());
            }
            return Err(Error::new(ErrorKind::Unauthenticated, "a token is needed")
                .hint("send it as `authorization: Bearer <token>`"));
        };
        let unknown = || Error::new(ErrorKind::Unauthenticated, "the token is not known, or has expired");
        if token.len() > MAX_TOKEN_BYTES {
            return Err(unknown());
        }
        let hash: [u8; 32] = Sha256::digest(token).into();
        let tokens = self.tokens();
        // All are compared, and each whole: the time says nothing about which one was nearly right.
        let mut found = None;
        for known in tokens.iter() {
            if bool::from(known.hash.ct_eq(&hash)) {
                found = Some(known);
            }
        }
        let found = found.ok_or_else(unknown)?;
        if found.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(unknown());
        }
        let principal = found.principal.clone();
        Ok(if self.public_reads { principal.with_public_reads() } else { principal })
    }
}

/// Returns what a tokens file has in place of a token.
pub fn hash_token(token: &str) -> String {
    Sha256::digest(token).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn version(path: &Path) -> Result<Version> {
    let data = fs::metadata(path).map_err(|error| unreadable(path, &error.to_string()))?;
    Ok(Version { modified: data.modified().ok(), bytes: data.len() })
}

fn read(path: &Path) -> Result<Vec<Token>> {
    if version(path)?.bytes > MAX_FILE_BYTES {
        return Err(unreadable(path, "it is too large"));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error.to_string()))?;
    // The parser's own message would show the line, and so a hash.
    let content: FileContent = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        unreadable(path, &format!("line {line}: {}", error.message()))
    })?;
    if content.tokens.len() > MAX_TOKENS {
        return Err(unreadable(path, &format!("it has more than {MAX_TOKENS} tokens")));
    }
    content
        .tokens
        .into_iter()
        .map(|token| token.check().map_err(|error| unreadable(path, &error.to_string())))
        .collect()
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the tokens file cannot be used: {why}")).with("file", path.display())
}

impl FileToken {
    fn check(self) -> Result<Token> {
        let wrong = |what: &str| Error::new(ErrorKind::InvalidInput, what).with("token", self.name.escape_debug());
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
mod tests {
    use gitsync_core::testing::{ManualClock, run};

    use super::*;

    fn entry(name: &str, more: &str) -> String {
        let hash = hash_token(&format!("token-{name}"));
        format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nroles = {{ acme = \"writer\" }}\n{more}\n")
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let (path, clock) = (dir.path().join("tokens.toml"), ManualClock::default());
            fs::write(&path, entry("a", "")).unwrap();
            let tokens = TokensFile::open(&path).unwrap().clock(Arc::new(clock.clone()));
            let knows = async |name: &str| tokens.authenticate(Some(&format!("token-{name}"))).await.is_ok();
            assert!(knows("a").await && !knows("bb").await);
            assert!(!format!("{tokens:?}").contains(&hash_token("token-a")));

            fs::write(&path, entry("bb", "")).unwrap();
            assert!(knows("a").await, "nobody looks at the file for a second");
            clock.advance(LOOK_EVERY);
            assert!(!knows("a").await && knows("bb").await);

            fs::write(&path, "[[tokens]]\nname = 1").unwrap();
            clock.advance(LOOK_EVERY);
            assert!(knows("bb").await);
            fs::remove_file(&path).unwrap();
            clock.advance(LOOK_EVERY);
            assert!(knows("bb").await);
            fs::write(&path, entry("ccc", "")).unwrap();
            clock.advance(LOOK_EVERY);
            assert!(!knows("bb").await && knows("ccc").await);
        });
    }

    #[test]
    fn tokens_expire() {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let (path, clock) = (dir.path().join("tokens.toml"), ManualClock::default());
            fs::write(&path, entry("a", "expires_at = \"2100-01-01T00:00:00Z\"")).unwrap();
            let tokens = TokensFile::open(&path).unwrap().clock(Arc::new(clock.clone()));
            clock.set(Timestamp::from_secs(4_102_444_799));
            assert_eq!(tokens.authenticate(Some("token-a")).await.unwrap().name(), "a");
            clock.set(Timestamp::from_secs(4_102_444_800));
            let error = tokens.authenticate(Some("token-a")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        });
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
        ];
        for text in bad {
            fs::write(&path, &text).unwrap();
            let error = TokensFile::open(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?}").contains(&hash[1..]), "{error:?}");
        }
        assert!(TokensFile::open(dir.path().join("missing")).is_err());
    }
}
