//! The seam to upstreams: the only way any engine gets bytes in or out.
//!
//! Engines never resolve names, open sockets or spawn programs. They ask a [`Transport`] for an HTTP exchange or for a
//! connection to a git service, and whatever implements it applies the source policy,
//! the credentials, the time limits and the byte bounds. `gitsync-transport` is the implementation for real networks.

mod said;

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use crate::cancel::Cancellation;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{CredentialProvider, CredentialRevision, SourceUrl};

pub use said::said_by_upstream;

/// A git service that an upstream offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Serves objects to us: listing and fetching.
    UploadPack,
    /// Takes objects from us: pushing.
    ReceivePack,
}

impl Service {
    /// Returns the name git gives the service, such as `git-upload-pack`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Service::UploadPack => "git-upload-pack",
            Service::ReceivePack => "git-receive-pack",
        }
    }
}

/// The limits that hold for one call to an upstream.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// Ends the call when set.
    pub cancellation: Cancellation,
    /// When the call ends with [`ErrorKind::Timeout`], whatever it is doing.
    pub deadline: Instant,
    /// How many bytes the upstream may send in one response or connection before the call ends with
    /// [`ErrorKind::LimitExceeded`].
    pub max_response_bytes: u64,
}

impl CallLimits {
    /// Returns an error if the call was cancelled or its deadline has passed.
    pub fn check(&self) -> Result<()> {
        self.cancellation.check()?;
        if Instant::now() >= self.deadline {
            return Err(Error::new(ErrorKind::Timeout, "the deadline of the work has passed"));
        }
        Ok(())
    }
}

/// One HTTP request to a git server.
pub struct HttpRequest<'a> {
    /// The repository the request is about. Credentials are chosen by it.
    pub source: &'a SourceUrl,
    /// What follows the repository's URL, beginning with `/`, such as `/info/refs?service=git-upload-pack`.
    pub suffix: &'a str,
    /// Headers beside those the transport sets itself (host, credentials, user agent).
    pub headers: &'a [(&'a str, &'a str)],
    /// The body of a POST; `None` makes it a GET. It is sent with its length when it ends within 1 MiB, chunked otherwise.
    pub body: Option<&'a mut (dyn Read + Send)>,
}

impl fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("source", self.source)
            .field("suffix", &self.suffix)
            .field("has_body", &self.body.is_some())
            .finish_non_exhaustive()
    }
}

/// A successful (2xx) HTTP response.
pub struct HttpResponse {
    /// The value of the `Content-Type` header, or an empty string.
    pub content_type: String,
    /// The body, which ends with the call's limits: its reads fail with an [`std::io::Error`] that wraps an [`Error`].
    pub body: Box<dyn Read + Send>,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// A duplex byte stream to a running git service.
pub struct Connection {
    /// What the service says.
    pub reader: Box<dyn Read + Send>,
    /// What we say to the service.
    pub writer: Box<dyn Write + Send>,
    /// Keeps the process or socket behind the streams alive; dropping it ends them.
    pub guard: Box<dyn Send>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The key of the context by which an [`Unauthenticated`](ErrorKind::Unauthenticated) error tells what became of the credentials:
/// [`REFUSED`] if they were shown.
pub const CREDENTIALS: &str = "credentials";
/// See [`CREDENTIALS`]. Only then the schedule of a repository rests until it has others.
pub const REFUSED: &str = "refused";

/// The key of the context by which a [`Timeout`](ErrorKind::Timeout) tells that an upstream was silent, and for how long. Without
/// it the time was ours, and nothing is held against the host.
pub const IDLE_SECONDS: &str = "idle_seconds";

/// Opens guarded byte streams to upstreams.
///
/// All calls block and belong on a thread that may. Implementations are shared by all engines and workers, so they pool
/// connections and keep no state per call. **Every** implementation:
///
/// - refuses, with [`ErrorKind::SourceRefused`], an upstream its policy does not allow, and connects only to an address that
///   passed the policy;
/// - never follows a redirect: it returns [`ErrorKind::SourceRedirected`] with the URL of the repository there, and says by
///   [`Error::moved_to`](crate::Error::moved_to) whether it stays there (HTTP's 301 and 308);
/// - maps answers to kinds: 401 to `Unauthenticated`, 403 to `PermissionDenied`, 404 and 410 to `SourceNotFound`, 429, and 403
///   and 503 with a `Retry-After`, to `RateLimited`, a redirect away from the repository to `SourceNotFound`, other failures
///   and refused connections to `SourceUnreachable`;
/// - ends by the [`CallLimits`]: a cancelled call returns within 2 s.
///
/// ```
/// use gitsync_core::source::SourceUrl;
/// use gitsync_core::transport::{CallLimits, Connection, HttpRequest, HttpResponse, Service, Transport};
/// use gitsync_core::{Error, ErrorKind, Result};
///
/// /// A transport for air-gapped tests: nothing can be reached.
/// #[derive(Debug)]
/// struct Offline;
///
/// impl Transport for Offline {
///     fn http(&self, _request: HttpRequest<'_>, _limits: &CallLimits) -> Result<HttpResponse> {
///         Err(Error::new(ErrorKind::SourceUnreachable, "there is no network"))
///     }
///     fn connect(&self, _url: &SourceUrl, _service: Service, _version: u8, _limits: &CallLimits) -> Result<Connection> {
///         Err(Error::new(ErrorKind::SourceUnreachable, "there is no network"))
///     }
/// }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Carries out one HTTP exchange for an `http` or `https` source.
    ///
    /// # Errors
    /// As listed above; [`ErrorKind::Unsupported`] for sources of another scheme.
    fn http(&self, request: HttpRequest<'_>, limits: &CallLimits) -> Result<HttpResponse>;

    /// Starts `service` on a source that is not HTTP (`ssh`, `git`, `file`) and asks for protocol `version` (1 or 2).
    ///
    /// For `git://` the implementation sends the opening request line; the first bytes read are the service's own. Version
    /// 1 differs from the original protocol in nothing but a first line, `version 1`, and may be asked for by silence: a
    /// caller expects its answer with and without that line.
    ///
    /// # Errors
    /// As listed above; [`ErrorKind::Unsupported`] for sources of a scheme this transport does not speak.
    fn connect(&self, url: &SourceUrl, service: Service, version: u8, limits: &CallLimits) -> Result<Connection>;

    /// Tells which credentials a source has by now, as [`CredentialProvider::revision`] does; `None` if the transport does not
    /// know. A repository whose credentials were refused is not synced on schedule until this is another one, and one of which
    /// it is not known is tried again like after other failures.
    ///
    /// # Errors
    /// Those of the provider.
    ///
    /// [`CredentialProvider::revision`]: crate::source::CredentialProvider::revision
    fn credential_revision(&self, _source: &SourceUrl) -> Result<Option<CredentialRevision>> {
        Ok(None)
    }

    /// Takes what the host of a source was shown to prove who asks out of a text by it, in the common encodings as well; `None`
    /// if there is nothing of it. A server that is broken, or worse, repeats what it is told, and what it says is stored and shown.
    ///
    /// Its errors have none of it already; this is for what engines read from its streams.
    fn hide_secrets(&self, _source: &SourceUrl, _text: &str) -> Option<String> {
        None
    }

    /// Returns a transport that is this one, with its connections, but asks `credentials` before those it has: for the work of
    /// an organisation that keeps some.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the transport shows no credentials. It is not used then in place of one that would.
    fn asking_first(&self, _credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Transport>> {
        Err(Error::new(ErrorKind::Unsupported, "the transport does not take the credentials that organisations keep"))
    }
}
