//! Where repositories come from, what may be fetched from where, and with which credentials.
//!
//! Everything a caller sends as a source is hostile until it went through this module:
//!
//! 1. [`SourceUrl::parse`] takes the text apart. It knows six ways to write a source and refuses everything else; a secret
//!    that arrives inside a URL is split off there and then, so a [`SourceUrl`] can be stored, logged and shown.
//! 2. [`SourcePolicy::check_url`] decides by what the URL says, [`SourcePolicy::check_addresses`] by where its name leads,
//!    and [`SourcePolicy::check_file_path`] by where a path really ends. Nobody may connect before they agreed.
//! 3. A [`CredentialProvider`] is asked for [`Credentials`] at the last moment, by the transport that needs them.
//!
//! ```
//! use gitsync_core::ErrorKind;
//! use gitsync_core::source::{SourcePolicy, SourceUrl};
//!
//! let policy = SourcePolicy::default();
//! let public = SourceUrl::parse("https://github.com/sharkdp/bat")?.url;
//! policy.check_url(&public)?;
//!
//! // 2130706433 is an old way to write 127.0.0.1.
//! let sneaky = SourceUrl::parse("https://2130706433/admin.git")?.url;
//! assert_eq!(sneaky.to_string(), "https://127.0.0.1/admin.git");
//! assert_eq!(policy.check_url(&sneaky).unwrap_err().kind(), ErrorKind::SourceRefused);
//! # Ok::<(), gitsync_core::Error>(())
//! ```

mod address;
mod builder;
mod credentials;
mod host;
mod parse;
mod pattern;
mod policy;
mod redact;
#[cfg(test)]
mod tests;
mod url;

pub use builder::SourcePolicyBuilder;
pub(crate) use credentials::stored::{KeyRing, StoredCredentials, check_credentials, no_keys};
pub use credentials::{
    ChainedCredentials, CredentialKeys, CredentialKind, CredentialProvider, CredentialRevision, CredentialScope,
    Credentials, EnvironmentCredentials, FileCredentials, NoCredentials, TOKEN_USER,
};
pub use host::{Host, HostKey};
pub use parse::ParsedSource;
pub use pattern::HostPattern;
pub use policy::SourcePolicy;
pub use redact::redact;
pub use url::{Scheme, SourceUrl};
