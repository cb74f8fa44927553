//! Listing an upstream, wherever it is now.

use super::Attempt;
use crate::backend::Advertisement;
use crate::error::{Error, ErrorKind, Result};
use crate::source::SourceUrl;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

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
}

fn redirected(error: &Error) -> Result<SourceUrl> {
    let target = error.redirect_target().unwrap_or_default();
    let parsed = SourceUrl::parse(target).map_err(|cause| {
        Error::new(ErrorKind::SourceRefused, "the upstream redirects to something that is no source").caused_by(cause)
    })?;
    Ok(parsed.url)
}
