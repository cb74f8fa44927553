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
    /// What it is called at its host from now on, if that has renamed it.
    pub(super) renamed: Option<SourceUrl>,
    /// What it advertises.
    pub(super) advertised: Advertisement,
}

/// Where redirects have led so far.
struct Trail {
    source: SourceUrl,
    renamed: Option<SourceUrl>,
    is_for_good: bool,
    is_within_host: bool,
}

impl Trail {
    fn from(source: &SourceUrl) -> Self {
        Trail { source: source.clone(), renamed: None, is_for_good: true, is_within_host: true }
    }

    fn follow(&mut self, error: &Error) -> Result<()> {
        let target = redirected(error)?;
        self.is_for_good &= error.has_moved_for_good();
        self.is_within_host &= is_within_host(&self.source, &target);
        if self.is_for_good && self.is_within_host {
            self.renamed = Some(target.clone());
        }
        self.source = target;
        Ok(())
    }
}

/// Tells whether a redirect stays with the same server, which may begin to encrypt, but not cease to.
fn is_within_host(from: &SourceUrl, to: &SourceUrl) -> bool {
    let encrypts = (from.scheme(), to.scheme()) == (Scheme::Http, Scheme::Https);
    let is_same = (from.scheme(), from.port()) == (to.scheme(), to.port());
    from.host_key() == to.host_key() && (is_same || encrypts)
}

impl Attempt {
    /// Asks a source for its references. A redirect is a new source: it is checked like any other before it is followed.
    ///
    /// One for good within the host is a new name of the repository. That it now is at another host is only told: no host
    /// decides what is mirrored from another.
    pub(super) async fn list(&self, source: &SourceUrl) -> Result<Upstream> {
        self.progress.phase("listing");
        let mut trail = Trail::from(source);
        for _ in 0..=MAX_REDIRECTS {
            self.parts.policy.check_url(&trail.source)?;
            self.check_file(&trail.source).await?;
            match self.parts.backend.list_remote(&trail.source, &self.context).await {
                Ok(advertised) => {
                    self.step("listed").await?;
                    if trail.is_for_good && !trail.is_within_host {
                        self.tell_of_move(&trail.source).await?;
                    }
                    return Ok(Upstream { source: trail.source, renamed: trail.renamed, advertised });
                }
                Err(error) if error.kind() == ErrorKind::SourceRedirected => trail.follow(&error)?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::SourceRefused, "the upstream redirects too often").with("limit", MAX_REDIRECTS))
    }

    /// Tells whoever looks at the task that the repository is at another host now.
    async fn tell_of_move(&self, source: &SourceUrl) -> Result<()> {
        let repository = self.started.repository.id;
        tracing::warn!(%source, %repository, "the upstream says that it has moved to another host for good");
        let remark = format!("the upstream says that it has moved to {source} for good");
        self.progress.remark(&self.parts, self.started.work, remark).await
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
