//! What all steps of one call to an upstream share.

use std::borrow::Cow;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use gitsync_core::backend::CallContext;
use gitsync_core::source::SourceUrl;
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Transport};

use super::prelude::Prelude;

/// One call to an upstream: how to get there, what ends it, and why it failed. Clones share the failure and what is counted.
#[derive(Clone, Debug)]
pub struct Call {
    /// The way to the upstream.
    pub transport: Arc<dyn Transport>,
    /// The upstream.
    pub source: SourceUrl,
    /// What ends the call.
    pub limits: CallLimits,
    /// Why it failed.
    pub failure: Failure,
    /// What may still come before the pack.
    pub prelude: Prelude,
}

impl Call {
    /// Creates the call; `limits` are those of the context, or end earlier.
    pub fn new(source: &SourceUrl, context: &CallContext, limits: &CallLimits) -> Self {
        Call {
            transport: Arc::clone(&context.transport),
            source: source.clone(),
            limits: limits.clone(),
            failure: Failure::default(),
            prelude: Prelude::default(),
        }
    }

    /// Returns what the upstream said without what it was shown to prove who asks. That comes first: whatever else is done to
    /// the text, such as cutting it, leaves parts of a secret that nobody recognizes.
    pub fn hide_secrets<'t>(&self, said: &'t str) -> Cow<'t, str> {
        self.transport.hide_secrets(&self.source, said).map_or(Cow::Borrowed(said), Cow::Owned)
    }

    /// Returns a call to the same upstream of which a failure is its own affair.
    pub fn aside(&self) -> Self {
        Call { failure: Failure::default(), ..self.clone() }
    }
}

/// The first thing that went wrong, as it was.
///
/// On their way through an engine's library errors are wrapped, turned into texts, or lost. So ours are kept here, where they arise.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    error: Option<Error>,
    said: Option<String>,
}

impl Failure {
    /// Keeps an error, and returns one for the library to pass on.
    pub fn keep(&self, error: Error) -> io::Error {
        let text = error.to_string();
        self.with(|kept| kept.error.get_or_insert(error).kind());
        io::Error::other(text)
    }

    /// Keeps what a stream of the transport failed with, and returns an error for the library to pass on.
    pub fn keep_io(&self, error: io::Error) -> io::Error {
        if error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
        let error = ours.unwrap_or_else(|| {
            Error::new(ErrorKind::SourceUnreachable, format!("the connection to the upstream broke: {error}"))
                .caused_by(error)
        });
        self.keep(error)
    }

    /// Keeps a message by which the upstream itself explains a failure that will follow.
    pub fn keep_said(&self, message: String) {
        self.with(|kept| kept.said.get_or_insert(message).len());
    }

    /// Takes the error out.
    pub fn take(&self) -> Option<Error> {
        self.with(|kept| kept.error.take())
    }

    /// Takes out what the upstream said.
    pub fn take_said(&self) -> Option<String> {
        self.with(|kept| kept.said.take())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
