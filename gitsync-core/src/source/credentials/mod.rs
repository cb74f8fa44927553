//! What an upstream is shown to prove who asks.

mod chain;
mod environment;
mod file;
mod kind;
mod revision;
mod scope;
pub(crate) mod stored;

use std::fmt;

use secrecy::SecretString;

pub use self::chain::ChainedCredentials;
pub use self::environment::EnvironmentCredentials;
pub use self::file::{FileCredentials, TOKEN_USER};
pub use self::kind::CredentialKind;
pub use self::revision::CredentialRevision;
pub use self::scope::CredentialScope;
pub use self::stored::CredentialKeys;

use super::SourceUrl;
use crate::error::Result;

/// What proves to an upstream who asks. `Debug` shows the kind alone.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// A user with a password or an access token.
    UserPassword {
        /// The user. Some hosts take the token here and no password.
        user: String,
        /// The password or token; may be empty.
        password: SecretString,
    },
    /// A token for an `Authorization: Bearer` header.
    Bearer(SecretString),
    /// A private key for ssh sources.
    SshKey {
        /// The key in OpenSSH or PEM format.
        key: SecretString,
        /// What the key is encrypted with, if it is.
        passphrase: Option<SecretString>,
    },
}

impl Credentials {
    /// Returns what kind they are of.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Credentials::UserPassword { .. } => CredentialKind::UserPassword,
            Credentials::Bearer(_) => CredentialKind::Bearer,
            Credentials::SshKey { .. } => CredentialKind::SshKey,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::UserPassword { .. } => "UserPassword",
            Credentials::Bearer(_) => "Bearer",
            Credentials::SshKey { .. } => "SshKey",
        })
    }
}

/// Knows the credentials of sources.
///
/// A transport asks for each call anew, so an implementation answers from memory and may change its answer at any time: a
/// rotated token holds from the next call on. What it returns is sent **to the host of the source it was asked about and to
/// no other**; after a redirect to another host it is asked again, about the new source.
///
/// ```
/// use std::collections::HashMap;
///
/// use gitsync_core::source::{CredentialProvider, Credentials, HostKey, SourceUrl};
/// use secrecy::SecretString;
///
/// /// One access token per host.
/// #[derive(Debug, Default)]
/// struct Tokens(HashMap<HostKey, SecretString>);
///
/// impl CredentialProvider for Tokens {
///     fn credentials(&self, source: &SourceUrl) -> gitsync_core::Result<Option<Credentials>> {
///         Ok(self.0.get(&source.host_key()).cloned().map(Credentials::Bearer))
///     }
/// }
///
/// let mut tokens = Tokens::default();
/// tokens.0.insert("github.com".parse()?, "a-token".into());
/// let ours = SourceUrl::parse("https://github.com/sharkdp/bat")?.url;
/// assert!(tokens.credentials(&ours)?.is_some());
/// let other = SourceUrl::parse("https://github.com.example.net/sharkdp/bat")?.url;
/// assert!(tokens.credentials(&other)?.is_none());
/// # Ok::<(), gitsync_core::Error>(())
/// ```
///
/// Tokens that live for a while, such as those of an installation of a GitHub App, are made anew in time. What asks the forge
/// for one is a function here:
///
/// ```
/// use std::fmt;
/// use std::sync::{Arc, Mutex, PoisonError};
/// use std::time::Duration;
///
/// use gitsync_core::source::{CredentialProvider, CredentialRevision, Credentials, HostKey, SourceUrl};
/// use gitsync_core::{Clock, Result, Timestamp};
/// use secrecy::SecretString;
///
/// /// A token, and when it expires.
/// type Minted = (SecretString, Timestamp);
///
/// /// Tokens of one installation of an app, each used until shortly before it expires.
/// struct Installation {
///     host: HostKey,
///     clock: Arc<dyn Clock>,
///     /// Signs a request with the key of the app and sends it. It may block, within limits.
///     mint: Box<dyn Fn() -> Result<Minted> + Send + Sync>,
///     minted: Mutex<Option<Minted>>,
/// }
///
/// # impl fmt::Debug for Installation {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
/// #         f.debug_struct("Installation").field("host", &self.host).finish_non_exhaustive()
/// #     }
/// # }
/// impl CredentialProvider for Installation {
///     fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
///         if !source.scheme().is_http() || source.host_key() != self.host {
///             return Ok(None);
///         }
///         // Whoever comes meanwhile waits for the same token.
///         let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
///         let soon = self.clock.now().after(Duration::from_secs(5 * 60));
///         let token = match &*minted {
///             Some((token, expires_at)) if *expires_at > soon => token.clone(),
///             _ => minted.insert((self.mint)()?).0.clone(),
///         };
///         Ok(Some(Credentials::UserPassword { user: "x-access-token".to_owned(), password: token }))
///     }
///
///     // Not that of the token: the next one would be refused as this one was.
///     fn revision(&self, _source: &SourceUrl) -> Result<CredentialRevision> {
///         Ok(CredentialRevision::new(1)) // the number of the app's key, which is configured
///     }
/// }
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # use secrecy::ExposeSecret as _;
/// # #[derive(Debug)]
/// # struct Hands(AtomicU32);
/// # #[async_trait::async_trait]
/// # impl Clock for Hands {
/// #     fn now(&self) -> Timestamp { Timestamp::from_secs(self.0.load(Ordering::SeqCst).into()) }
/// #     async fn sleep(&self, _: Duration) {}
/// # }
/// # let (clock, count) = (Arc::new(Hands(AtomicU32::new(0))), AtomicU32::new(0));
/// # let time = Arc::clone(&clock);
/// # let mint = move || -> Result<Minted> {
/// #     let number = count.fetch_add(1, Ordering::SeqCst);
/// #     Ok((format!("token-{number}").into(), time.now().after(Duration::from_secs(3600))))
/// # };
/// # let app = Installation {
/// #     host: "github.com".parse()?, clock: clock.clone(), mint: Box::new(mint), minted: Mutex::new(None),
/// # };
/// # let source: SourceUrl = "https://github.com/acme/app".parse()?;
/// # let token_at = |seconds: u32| {
/// #     clock.0.store(seconds, Ordering::SeqCst);
/// #     match app.credentials(&source).unwrap() {
/// #         Some(Credentials::UserPassword { password, .. }) => password.expose_secret().to_owned(),
/// #         other => panic!("{other:?}"),
/// #     }
/// # };
/// # let tokens = [0, 3299, 3300, 6599, 6600].map(token_at);
/// # assert_eq!(tokens, ["token-0", "token-0", "token-1", "token-1", "token-2"]);
/// # Ok::<(), gitsync_core::Error>(())
/// ```
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// Returns the credentials to use for `source`, or `None` to ask anonymously. Called on threads that may block, but
    /// often: it should not.
    ///
    /// # Errors
    /// What keeps the provider from knowing, such as [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when a vault
    /// does not answer. The call that asked ends with this error.
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>>;

    /// Tells which credentials [`credentials`](Self::credentials) returns by now. A repository whose credentials were refused is
    /// left alone while this stays the same.
    ///
    /// By itself it is made of the credentials. A provider whose tokens live for an hour says something that changes less
    /// often, such as the version of what it makes them with; then refused ones are not tried again each hour.
    ///
    /// # Errors
    /// As [`credentials`](Self::credentials).
    fn revision(&self, source: &SourceUrl) -> Result<CredentialRevision> {
        Ok(CredentialRevision::of(self.credentials(source)?.as_ref()))
    }
}

/// Knows no credentials: every upstream is asked anonymously.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentials;

impl CredentialProvider for NoCredentials {
    fn credentials(&self, _source: &SourceUrl) -> Result<Option<Credentials>> {
        Ok(None)
    }
}
