//! Several providers in a row.

use std::sync::Arc;

use super::{CredentialProvider, CredentialRevision, Credentials};
use crate::error::Result;
use crate::source::SourceUrl;

/// Asks one provider after the other; the first that has credentials for a source is right.
///
/// ```no_run
/// use std::sync::Arc;
/// use gitsync_core::source::{ChainedCredentials, EnvironmentCredentials, FileCredentials};
///
/// let file = FileCredentials::open("/etc/gitsync/credentials.toml")?;
/// let credentials = ChainedCredentials::new([Arc::new(file) as _, Arc::new(EnvironmentCredentials::read()?) as _]);
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ChainedCredentials(Vec<Arc<dyn CredentialProvider>>);

impl ChainedCredentials {
    /// Puts providers in a row.
    pub fn new(providers: impl IntoIterator<Item = Arc<dyn CredentialProvider>>) -> Self {
        ChainedCredentials(providers.into_iter().collect())
    }
}

impl CredentialProvider for ChainedCredentials {
    /// An error is not passed over: the provider might know the source.
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
        for provider in &self.0 {
            if let Some(found) = provider.credentials(source)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn revision(&self, source: &SourceUrl) -> Result<CredentialRevision> {
        for provider in &self.0 {
            if provider.credentials(source)?.is_some() {
                return provider.revision(source);
            }
        }
        Ok(CredentialRevision::of(None))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::source::EnvironmentCredentials;

    #[test]
    fn the_first_that_knows_is_right() {
        let provider = |name: &str, token: &str| -> Arc<dyn CredentialProvider> {
            let variable = (format!("GITSYNC_CREDENTIAL_{name}_BEARER"), token.to_owned());
            Arc::new(EnvironmentCredentials::from_variables([variable]).unwrap())
        };
        let chain = ChainedCredentials::new([
            provider("A_EXAMPLE", "first"),
            provider("A_EXAMPLE", "second"),
            provider("B_EXAMPLE", "third"),
        ]);
        let found = |source: &str| match chain.credentials(&source.parse().unwrap()).unwrap() {
            Some(Credentials::Bearer(token)) => Some(token.expose_secret().to_owned()),
            _ => None,
        };
        assert_eq!(found("https://a.example/x").unwrap(), "first");
        assert_eq!(found("https://b.example/x").unwrap(), "third");
        assert_eq!(found("https://c.example/x"), None);
    }
}
