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
    /// What its server calls it from now on, if that has renamed it.
    pub(super) renamed: Option<SourceUrl>,
    /// What it advertises.
    pub(super) advertised: Advertisement,
}

/// Where redirects have led so far.
struct Trail {
    source: SourceUrl,
    /// What the server calls the repository from now on.
    renamed: Option<SourceUrl>,
    /// Where it is from now on by what proves nothing here: another server, or no encryption.
    moved: Option<SourceUrl>,
    is_for_good: bool,
}

impl Trail {
    fn from(source: &SourceUrl) -> Self {
        Trail { source: source.clone(), renamed: None, moved: None, is_for_good: true }
    }

    fn follow(&mut self, error: &Error) -> Result<()> {
        let target = redirected(error)?;
        self.is_for_good &= error.has_moved_for_good();
        if self.is_for_good && self.moved.is_none() && is_new_name(&self.source, &target) {
            self.renamed = Some(target.clone());
        } else if self.is_for_good {
            self.moved = Some(target.clone());
        }
        self.source = target;
        Ok(())
    }
}

/// Tells whether a permanent redirect is a new name of the repository: it is the server that says so, and it stays where it
/// is, or begins to encrypt. Without encryption anybody could have said so, and it would outlast him.
fn is_new_name(from: &SourceUrl, to: &SourceUrl) -> bool {
    let ports = (from.scheme().default_port(), to.scheme().default_port());
    let encrypts = (from.scheme(), to.scheme()) == (Scheme::Http, Scheme::Https)
        && (from.port(), to.port()) == ports
        && (from.host_key(), from.path()) == (to.host_key(), to.path());
    encrypts || (from.scheme() == Scheme::Https && is_same_server(from, to))
}

/// Tells whether two sources are with the same server.
pub(crate) fn is_same_server(one: &SourceUrl, other: &SourceUrl) -> bool {
    let server = |source: &SourceUrl| (source.scheme(), source.host_key(), source.port());
    server(one) == server(other)
}

impl Attempt {
    /// Asks a source for its references. A redirect is a new source: it is checked like any other before it is followed.
    ///
    /// One for good with the same server is a new name of the repository. That another server has it now is only told: no
    /// server decides what is mirrored from another, and by http nobody knows who said it.
    pub(super) async fn list(&self, source: &SourceUrl) -> Result<Upstream> {
        self.progress.phase("listing");
        let mut trail = Trail::from(source);
        for _ in 0..=MAX_REDIRECTS {
            self.check_source(&trail.source).await.map_err(|error| match trail.source == *source {
                true => error,
                false => error.with("redirected_from", source),
            })?;
            match self.parts.backend.list_remote(&trail.source, &self.context).await {
                Ok(advertised) => {
                    self.step("listed").await?;
                    self.tell_where(&trail).await?;
                    return Ok(Upstream { source: trail.source, renamed: trail.renamed, advertised });
                }
                Err(error) if error.kind() == ErrorKind::SourceRedirected => trail.follow(&error)?,
                Err(error) => return Err(of_host(error, &trail.source)),
            }
        }
        Err(Error::new(ErrorKind::SourceRefused, "the upstream redirects too often").with("limit", MAX_REDIRECTS))
    }

    /// Tells whoever looks at the task where upstream is from now on.
    async fn tell_where(&self, trail: &Trail) -> Result<()> {
        let repository = self.started.repository.id;
        let remark = match trail {
            Trail { moved: Some(to), .. } => {
                tracing::warn!(%to, %repository, "the upstream says that it has moved for good");
                format!("the upstream says that it has moved to {to} for good")
            }
            Trail { renamed: Some(to), .. } => {
                tracing::info!(%to, %repository, "the source has another name now");
                format!("the source is called {to} from now on")
            }
            _ => return Ok(()),
        };
        self.progress.remark(&self.parts, self.started.work, remark).await
    }

    async fn check_source(&self, source: &SourceUrl) -> Result<()> {
        self.parts.policy.check_url(source)?;
        self.check_file(source).await
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

/// Says of an error that may be the doing of a host where that was, if it does not say so.
pub(super) fn of_host(error: Error, source: &SourceUrl) -> Error {
    let may_be = matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::SourceUnreachable | ErrorKind::Timeout);
    if may_be && error.context().all(|(key, _)| key != "url") { error.with("url", source) } else { error }
}

/// Returns where a redirect leads.
pub(super) fn redirected(error: &Error) -> Result<SourceUrl> {
    let target = error.redirect_target().unwrap_or_default();
    let parsed = SourceUrl::parse(target).map_err(|cause| {
        Error::new(ErrorKind::SourceRefused, "the upstream redirects to something that is no source").caused_by(cause)
    })?;
    Ok(parsed.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_surely_says_of_itself_is_a_new_name() {
        for (from, to, expected) in [
            ("https://host/a", "https://host/b", true),
            ("https://HOST:443/a", "https://host/b", true),
            ("https://host:8443/a", "https://host:8443/b", true),
            ("https://host/a", "https://host:8443/b", false),
            ("https://host/a", "https://host.example/b", false),
            ("https://host/a", "http://host/b", false),
            ("https://host/a", "ssh://git@host/b", false),
            ("http://host/a", "https://host/a", true),
            ("http://host/a", "https://host/b", false),
            ("http://host/a", "http://host/b", false),
            ("http://host:8080/a", "https://host/a", false),
            ("http://host/a", "https://host:8443/a", false),
        ] {
            let [one, other] = [from, to].map(|url| SourceUrl::parse(url).unwrap().url);
            assert_eq!(is_new_name(&one, &other), expected, "{from} {to}");
        }
    }
}
