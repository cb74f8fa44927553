//! A conversation with an upstream.

use std::fmt;

use gitsync_core::model::ObjectFormat;
use gitsync_core::transport::{Connection, Service};
use gitsync_core::{ErrorKind, Result};
use gitsync_repository::upstream::listing::{ListLimits, Listing, not_understood};
use gitsync_repository::upstream::v1::{self, Capability};
use gitsync_repository::upstream::{Call, Guarded, Unversioned, capabilities_for_a_fetch};
use gix::protocol::Handshake;
use gix_transport::client::blocking_io::{SetServiceResponse, Transport, http};
use gix_transport::client::git::ConnectMode;
use gix_transport::client::git::blocking_io::Connection as Pipe;
use gix_transport::client::{Capabilities, TransportWithoutIO as _};
use gix_transport::{Protocol, Service as GixService};

use super::explain::explain;
use super::http::{PLACEHOLDER, UpstreamHttp};

/// How a conversation is opened.
#[derive(Debug)]
pub(crate) enum Opening {
    /// By the original protocol: the greeting brings all references.
    Original,
    /// Over HTTP by the original protocol, with a greeting known from before: no request is made.
    Replay(Vec<u8>),
}

/// A conversation that has been opened.
pub(crate) struct Session {
    call: Call,
    transport: Box<dyn Transport + Send>,
    handshake: Handshake,
    /// Dropped last: it ends the process or the connection.
    _guard: Option<Box<dyn Send>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Session {
    /// Greets the upstream. The listing is there if the original protocol brought it.
    pub(crate) fn open(call: &Call, opening: Opening, limits: ListLimits) -> Result<(Self, Option<Listing>)> {
        let (mut transport, guard) = connect(call, opening)?;
        let SetServiceResponse { actual_protocol, capabilities, mut refs } =
            transport.handshake(GixService::UploadPack, &[]).map_err(|error| explain(call, error))?;
        let mut listing = None;
        if let Some(lines) = &mut refs {
            let listing = listing.insert(v1::begin(said(&capabilities), limits)?);
            while let Some(line) = lines.readline() {
                let line = line.map_err(|error| explain(call, error))?.map_err(|error| explain(call, error))?;
                let Some(line) = line.as_slice() else { break };
                v1::line(listing, line)?;
            }
        } else if actual_protocol != Protocol::V2 {
            return Err(not_understood("no references at all"));
        }
        drop(refs);
        let capabilities =
            if actual_protocol == Protocol::V2 { capabilities } else { without_relative_depths(call, capabilities)? };
        let handshake = Handshake {
            server_protocol_version: actual_protocol,
            refs: None,
            v1_shallow_updates: (actual_protocol != Protocol::V2).then(Vec::new),
            capabilities,
        };
        Ok((Session { call: call.clone(), transport, handshake, _guard: guard }, listing))
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.handshake.capabilities
    }

    /// Returns what the upstream can do.
    pub(crate) fn said(&self) -> impl Iterator<Item = Capability<'_>> {
        said(self.capabilities())
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.handshake.server_protocol_version == Protocol::V2
    }

    /// Tells whether the upstream forgets what was said in one request until the next.
    pub(crate) fn is_stateless(&self) -> bool {
        self.is_v2() || !self.transport.connection_persists_across_multiple_requests()
    }

    /// Tells whether the upstream can limit the depth of what it sends.
    pub(crate) fn knows_depth(&self) -> bool {
        let capabilities = self.capabilities();
        let of_fetch = capabilities.capability("fetch").and_then(|fetch| fetch.supports("shallow"));
        if self.is_v2() { of_fetch.unwrap_or(false) } else { capabilities.contains("shallow") }
    }

    /// Returns the upstream's hash function.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is one that the core does not know.
    pub(crate) fn format(&self) -> Result<ObjectFormat> {
        v1::format_of(self.said())
    }

    pub(crate) fn transport(&mut self) -> &mut (dyn Transport + Send) {
        &mut *self.transport
    }

    /// Returns what gix needs for a fetch.
    pub(crate) fn parts(&mut self) -> (&mut Handshake, &mut Box<dyn Transport + Send>) {
        (&mut self.handshake, &mut self.transport)
    }

    /// Says goodbye, so that a server at the other end of a pipe does not complain.
    pub(crate) fn close(mut self) {
        // Everything needed has been received; how the connection ends does not matter.
        gix::protocol::indicate_end_of_interaction(&mut self.transport, false).ok();
    }
}

/// Returns what an upstream can do.
fn said(capabilities: &Capabilities) -> impl Iterator<Item = Capability<'_>> {
    capabilities.iter().map(|one| (&**one.name(), one.value().map(|value| &**value)))
}

/// Leaves out a capability that gix asks for whenever there is one: by the original protocol a depth would then count from the
/// boundary on, and not from the tips.
fn without_relative_depths(call: &Call, capabilities: Capabilities) -> Result<Capabilities> {
    if !capabilities.contains("deepen-relative") {
        return Ok(capabilities);
    }
    let others = said(&capabilities).filter(|(name, _)| *name != b"deepen-relative");
    // They stand behind a NUL, as in the first line of a greeting.
    let line = [b"\0", capabilities_for_a_fetch(others).as_slice()].concat();
    Capabilities::from_bytes(&line).map(|(capabilities, _)| capabilities).map_err(|error| explain(call, error))
}

type Opened = (Box<dyn Transport + Send>, Option<Box<dyn Send>>);

fn connect(call: &Call, opening: Opening) -> Result<Opened> {
    let (version, replay) = match opening {
        Opening::Original => (Protocol::V1, None),
        Opening::Replay(greeting) => (Protocol::V1, Some(greeting)),
    };
    if call.source.scheme().is_http() {
        let url = PLACEHOLDER.try_into().map_err(|error: gix::Error| {
            gitsync_core::Error::new(ErrorKind::Internal, "the placeholder is no address").caused_by(error)
        })?;
        let transport = http::connect_http(UpstreamHttp::new(call, replay), url, version, false);
        return Ok((Box::new(transport), None));
    }
    let number = if version == Protocol::V2 { 2 } else { 1 };
    let Connection { reader, writer, guard } =
        call.transport.connect(&call.source, Service::UploadPack, number, &call.limits)?;
    let reader = Unversioned::new(Guarded::new(std::io::BufReader::new(reader), call));
    let writer = Guarded::new(writer, call);
    // The request line of `git://` is the transport's affair, so to gix every connection is a process.
    let host = None::<(&str, Option<u16>)>;
    let pipe = Pipe::new(reader, writer, version, "upstream", host, ConnectMode::Process, false);
    Ok((Box::new(pipe), Some(guard)))
}
