//! The one error type of the workspace.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of every fallible operation in gitsync.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest fact that an error carries.
const MAX_FACT_BYTES: usize = 512;

/// What went wrong, as a caller has to tell it apart.
///
/// The set is closed on purpose: kinds are stored with tasks, mapped to RPC status codes and decide whether a
/// task is tried again. [`ErrorKind::as_str`] gives the stable name used in databases and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The organisation, repository, task or branch does not exist.
    NotFound,
    /// Another record has the same identity.
    AlreadyExists,
    /// The record is not in a state that allows the request, or somebody changed it meanwhile.
    Conflict,
    /// The request itself is wrong and will be wrong again.
    InvalidInput,
    /// The upstream wants credentials, or refused those it was given.
    Unauthenticated,
    /// The caller, or the credentials used upstream, may not do this.
    PermissionDenied,
    /// The upstream answers, but has no such repository.
    SourceNotFound,
    /// The upstream does not answer.
    SourceUnreachable,
    /// The source policy forbids this upstream.
    SourceRefused,
    /// The upstream is elsewhere: see [`Error::redirect_target`].
    SourceRedirected,
    /// The upstream lost most of its branches and tags; nothing was pruned.
    UpstreamShrank,
    /// The upstream asked for a pause: see [`Error::retry_after`].
    RateLimited,
    /// A time limit passed.
    Timeout,
    /// Somebody cancelled the work.
    Cancelled,
    /// Data on disk or from upstream contradicts itself.
    Corrupt,
    /// The disk has no room.
    DiskFull,
    /// A bound on bytes, objects or references was exceeded.
    LimitExceeded,
    /// Another worker holds the job by now; nothing may be written on its behalf.
    LeaseLost,
    /// This backend cannot do that.
    Unsupported,
    /// A service gitsync depends on (the database) is away for the moment.
    Unavailable,
    /// A defect in gitsync or in one of its libraries.
    Internal,
}

impl ErrorKind {
    /// Every kind, in declaration order.
    pub const ALL: [ErrorKind; 21] = [
        ErrorKind::NotFound,
        ErrorKind::AlreadyExists,
        ErrorKind::Conflict,
        ErrorKind::InvalidInput,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::SourceNotFound,
        ErrorKind::SourceUnreachable,
        ErrorKind::SourceRefused,
        ErrorKind::SourceRedirected,
        ErrorKind::UpstreamShrank,
        ErrorKind::RateLimited,
        ErrorKind::Timeout,
        ErrorKind::Cancelled,
        ErrorKind::Corrupt,
        ErrorKind::DiskFull,
        ErrorKind::LimitExceeded,
        ErrorKind::LeaseLost,
        ErrorKind::Unsupported,
        ErrorKind::Unavailable,
        ErrorKind::Internal,
    ];

    /// Returns the stable snake-case name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "not_found",
            ErrorKind::AlreadyExists => "already_exists",
            ErrorKind::Conflict => "conflict",
            ErrorKind::InvalidInput => "invalid_input",
            ErrorKind::Unauthenticated => "unauthenticated",
            ErrorKind::PermissionDenied => "permission_denied",
            ErrorKind::SourceNotFound => "source_not_found",
            ErrorKind::SourceUnreachable => "source_unreachable",
            ErrorKind::SourceRefused => "source_refused",
            ErrorKind::SourceRedirected => "source_redirected",
            ErrorKind::UpstreamShrank => "upstream_shrank",
            ErrorKind::RateLimited => "rate_limited",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::DiskFull => "disk_full",
            ErrorKind::LimitExceeded => "limit_exceeded",
            ErrorKind::LeaseLost => "lease_lost",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Internal => "internal",
        }
    }

    /// Returns the kind that has this stable name, if there is one.
    pub fn from_name(name: &str) -> Option<ErrorKind> {
        ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Tells whether trying the same thing again later may succeed.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            ErrorKind::SourceUnreachable
                | ErrorKind::RateLimited
                | ErrorKind::Timeout
                | ErrorKind::DiskFull
                | ErrorKind::Unavailable
                | ErrorKind::Internal
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an operation failed: a [kind](ErrorKind) for programs, a message and a hint for people.
///
/// Messages never carry secrets: URLs enter them only through [`SourceUrl`](crate::source::SourceUrl), which has none.
///
/// ```
/// use gitsync_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::SourceNotFound, "the server has no repository at this address")
///     .with("url", "https://example.com/a/b.git")
///     .hint("check the spelling, or whether the repository is private");
/// assert_eq!(error.kind(), ErrorKind::SourceNotFound);
/// assert!(!error.is_retryable());
/// assert_eq!(
///     error.to_string(),
///     "the server has no repository at this address (url: https://example.com/a/b.git)"
/// );
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    context: Vec<(&'static str, String)>,
    field: Option<&'static str>,
    retry_after: Option<Duration>,
    redirect_target: Option<String>,
    moved_for_good: bool,
    retryable: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of `kind`; whether it is worth a retry follows from the kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            context: Vec::new(),
            field: None,
            retry_after: None,
            redirect_target: None,
            moved_for_good: false,
            retryable: kind.is_retryable(),
            source: None,
        }))
    }

    /// Adds a fact about the circumstances, such as the path or the reference concerned. A long one is cut: it may be what a
    /// caller sent, and errors are stored and sent.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let mut value = value.to_string();
        if value.len() > MAX_FACT_BYTES {
            value.truncate(value.floor_char_boundary(MAX_FACT_BYTES));
            value.push('…');
        }
        self.0.context.push((key, value));
        self
    }

    /// Sets which field of a request is wrong, by the name that requests have for it, such as `source_url`. The first who knows
    /// it is right: a later call changes nothing.
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.0.field.get_or_insert(field);
        self
    }

    /// Sets the advice shown to a person.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the underlying error.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Sets how long the upstream wants to be left alone.
    #[must_use]
    pub fn retry_in(mut self, pause: Duration) -> Self {
        self.0.retry_after = Some(pause);
        self
    }

    /// Sets where the upstream says it is now. The address is untrusted and unchecked.
    #[must_use]
    pub fn redirected_to(mut self, target: impl Into<String>) -> Self {
        self.0.redirect_target = Some(target.into());
        self.0.moved_for_good = false;
        self
    }

    /// Sets where the upstream says it is from now on. The address is untrusted and unchecked.
    #[must_use]
    pub fn moved_to(mut self, target: impl Into<String>) -> Self {
        self = self.redirected_to(target);
        self.0.moved_for_good = true;
        self
    }

    /// Takes something out of all its texts: the function returns a text without it, or `None` if it is not in there. An
    /// underlying error that has it in its own texts goes.
    ///
    /// ```
    /// use gitsync_core::{Error, ErrorKind};
    ///
    /// let hide = |text: &str| text.contains("s3cret").then(|| text.replace("s3cret", "***"));
    /// let error = Error::new(ErrorKind::SourceUnreachable, "no").with("answer", "who is s3cret?").hiding(hide);
    /// assert_eq!(error.to_string(), "no (answer: who is ***?)");
    /// ```
    #[must_use]
    pub fn hiding(mut self, hide: impl Fn(&str) -> Option<String>) -> Self {
        let inner = &mut self.0;
        let facts = inner.context.iter_mut().map(|(_, value)| value);
        for text in facts.chain([&mut inner.message]).chain(&mut inner.hint).chain(&mut inner.redirect_target) {
            if let Some(clean) = hide(text) {
                *text = clean;
            }
        }
        let has_it =
            |error: &dyn StdError| [error.to_string(), format!("{error:?}")].iter().any(|text| hide(text).is_some());
        let mut cause = StdError::source(&self);
        while let Some(error) = cause {
            if has_it(error) {
                self.0.source = None;
                break;
            }
            cause = error.source();
        }
        self
    }

    /// Marks the error as final even though its kind is usually worth a retry.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.retryable = false;
        self
    }

    /// Returns what went wrong, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the message without its context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns which field of a request is wrong, if it is one.
    pub fn field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// Returns the advice for a person, if there is any.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the circumstances, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Tells whether trying again later may succeed.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns how long the upstream asked to be left alone, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns where a [`ErrorKind::SourceRedirected`] points: untrusted text that must pass the policy again.
    pub fn redirect_target(&self) -> Option<&str> {
        self.0.redirect_target.as_deref()
    }

    /// Tells whether the upstream says that it stays where [`redirect_target`](Self::redirect_target) points.
    pub fn has_moved_for_good(&self) -> bool {
        self.0.moved_for_good
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let opening = if index == 0 { " (" } else { ", " };
            write!(f, "{opening}{key}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.0.message);
        if !self.0.context.is_empty() {
            debug.field("context", &self.0.context);
        }
        if let Some(field) = &self.0.field {
            debug.field("field", field);
        }
        if let Some(hint) = &self.0.hint {
            debug.field("hint", hint);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    /// Classifies an I/O error on local files: a full disk is told apart, the rest is [`ErrorKind::Internal`].
    fn from(error: std::io::Error) -> Self {
        let (kind, hint) = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                (ErrorKind::DiskFull, Some("free space on the disk that holds the repositories"))
            }
            std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, Some("the process needs read and write access to its storage directory"))
            }
            _ => (ErrorKind::Internal, None),
        };
        let mut wrapped = Error::new(kind, format!("file access failed: {error}"));
        if let Some(hint) = hint {
            wrapped = wrapped.hint(hint);
        }
        wrapped.caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(ErrorKind::from_name("nonsense"), None);
    }

    #[test]
    fn display_carries_context_but_not_the_hint() {
        let error = Error::new(ErrorKind::Conflict, "busy").with("task", 7).with("epoch", 2).hint("wait");
        assert_eq!(error.to_string(), "busy (task: 7, epoch: 2)");
        assert_eq!(error.hint_text(), Some("wait"));
    }

    #[test]
    fn a_full_disk_is_worth_a_retry_and_says_what_to_do() {
        let error = Error::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(error.kind(), ErrorKind::DiskFull);
        assert!(error.is_retryable());
        assert!(error.hint_text().is_some());
    }

    #[test]
    fn the_innermost_field_is_the_one_that_is_wrong() {
        let error = Error::new(ErrorKind::InvalidInput, "no");
        assert_eq!(error.field(), None);
        let error = error.in_field("name").in_field("repository");
        assert_eq!((error.field(), error.to_string().as_str()), (Some("name"), "no"));
    }

    #[test]
    fn what_is_hidden_is_in_no_text() {
        let inner = Error::new(ErrorKind::Corrupt, "it").caused_by(std::io::Error::other("s3cret"));
        let error = Error::new(ErrorKind::SourceRedirected, "s3cret")
            .with("answer", "a s3cret")
            .hint("no s3cret")
            .redirected_to("https://s3cret/")
            .caused_by(inner);
        let hide = |text: &str| text.contains("s3cret").then(|| text.replace("s3cret", "***"));
        let hidden = error.clone().hiding(hide);
        assert_eq!(hidden.to_string(), "*** (answer: a ***)");
        assert_eq!((hidden.hint_text(), hidden.redirect_target()), (Some("no ***"), Some("https://***/")));
        assert!(StdError::source(&hidden).is_none());
        assert!(StdError::source(&error.hiding(|_| None)).is_some());
    }

    #[test]
    fn facts_are_bounded() {
        let error = Error::new(ErrorKind::InvalidInput, "no").with("text", "ä".repeat(1000));
        assert_eq!(error.to_string(), format!("no (text: {}…)", "ä".repeat(MAX_FACT_BYTES / 2)));
    }
}
