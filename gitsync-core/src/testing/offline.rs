//! A way out that leads nowhere.

use crate::error::{Error, ErrorKind, Result};
use crate::source::SourceUrl;
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
}

fn unreachable() -> Error {
    Error::new(ErrorKind::SourceUnreachable, "there is no network")
}
