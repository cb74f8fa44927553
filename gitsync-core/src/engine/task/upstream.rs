//! Listing an upstream, wherever it is now.

use std::path::PathBuf;

use super::Attempt;
use crate::backend::Advertisement;
use crate::engine::parts::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Scheme, SourceUrl};

/// How many redirects are followed.
pub(super) const MAX_REDIRECTS: usize = 5;

/// An upstream that answered.
pub(super) struct Upstream {
    /// Where it was found in the end.
    pub(super) source: SourceUrl,
    /// What it advertises.
    pub(super) advertised: Advertisement,
}

impl Attempt {
    /// Asks a source for its references. A redirect is a new source: it is checked like any other before it is followed.
    pub(super) async fn list(&self, source: &SourceUrl) -> Result<Upstream> {
        self.progress.phase("listing");
        let mut source = source.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.parts.policy.check_url(&source)?;
            self.check_file(&source).await?;
            match self.parts.backend.list_remote(&source, &self.context).await {
                Ok(advertised) => {
                    self.step("listed").await?;
                    return Ok(Upstream { source, advertised });
                }
                Err(error) if error.kind() == ErrorKind::SourceRedirected => source = redirected(&error)?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::SourceRefused, "the upstream redirects too often").with("limit", MAX_REDIRECTS))
    }

    /// Checks where a file source really leads. The transport does so too, but only by its own policy: which directories are
    /// storages, the engine alone is sure to know.
    async fn check_file(&self, source: &SourceUrl) -> Result<()> {
        if source.scheme() != Scheme::File {
            return Ok(());
        }
        let (policy, path) = (self.parts.policy.clone(), PathBuf::from(source.path()));
        blocking(move || policy.check_file_path(&path).map(drop)).await
    }
}

/// Returns where a redirect leads.
pub(super) fn redirected(error: &Error) -> Result<SourceUrl> {
    let target = error.redirect_target().unwrap_or_default();
    let parsed = SourceUrl::parse(target).map_err(|cause| {
        Error::new(ErrorKind::SourceRefused, "the upstream redirects to something that is no source").caused_by(cause)
    })?;
    Ok(parsed.url)
}
