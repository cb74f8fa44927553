//! Tokens from a file.

mod file;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gitsync_core::watched_file::WatchedFile;
use gitsync_core::{Clock, Error, ErrorKind, Result, SystemClock};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use self::file::Token;
use super::{Authorizer, Principal};

/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 4096;

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
/// Each token has a name and a hash of its own, and the file is a regular one.
///
/// A file that changes is read again within a second. If what it says then makes no sense, the tokens of before stay, and an
/// error is logged: a slip of the pen locks nobody out.
pub struct TokensFile {
    file: WatchedFile<Vec<Token>>,
    public_reads: bool,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for TokensFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokensFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl TokensFile {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it cannot be read or makes no sense; the message says where.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Ok(TokensFile { file: file::open(path.into())?, public_reads: false, clock: Arc::new(SystemClock) })
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
        self.file = self.file.clock(Arc::clone(&clock));
        self.clock = clock;
        self
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
        let tokens = self.file.content();
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

#[cfg(test)]
mod tests {
    use std::fs;

    use gitsync_core::Timestamp;
    use gitsync_core::testing::{ManualClock, run};
    use gitsync_core::watched_file::LOOK_EVERY;

    use super::file::tests::entry;
    use super::*;

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
}
