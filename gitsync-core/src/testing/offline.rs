//! A way out that leads nowhere.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{CredentialProvider, SourceUrl};
use crate::transport::{CallLimits, Connection, HttpRequest, HttpResponse, Service, Transport};

/// A [`Transport`] that reaches no upstream: [scripted](crate::memory::ScriptedBackend) ones need none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Transport for Offline {
    fn http(&self, _: HttpRequest<'_>, _: &CallLimits) -> Result<HttpResponse> {
        Err(unreachable())
    }

    fn connect(&self, _: &SourceUrl, _: Service, _: u8, _: &CallLimits) -> Result<Connection> {
        Err(unreachable())
    }

    fn asking_first(&self, _: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(*self))
    }
}

fn unreachable() -> Error {
    Error::new(ErrorKind::SourceUnreachable, "there is no network")
}
