//! What an upstream is shown to prove who asks.

mod chain;
mod environment;
mod file;
mod scope;

use std::fmt;

use secrecy::SecretString;

pub use self::chain::ChainedCredentials;
pub use self::environment::EnvironmentCredentials;
pub use self::file::FileCredentials;

use super::SourceUrl;
use crate::error::Result;

/// What proves to an upstream who asks. `Debug` shows no secret.
#[derive(Clone, Debug)]
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
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// Returns the credentials to use for `source`, or `None` to ask anonymously. Called on threads that may block, but
    /// often: it should not.
    ///
    /// # Errors
    /// What keeps the provider from knowing, such as [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when a vault
    /// does not answer. The call that asked ends with this error.
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>>;
}

/// Knows no credentials: every upstream is asked anonymously.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCredentials;

impl CredentialProvider for NoCredentials {
    fn credentials(&self, _source: &SourceUrl) -> Result<Option<Credentials>> {
        Ok(None)
    }
}
