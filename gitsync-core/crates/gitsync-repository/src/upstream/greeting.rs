//! How an upstream greets: what it can do, and all its references.

use std::fmt;
use std::io::{BufReader, Cursor, Read, Write};

use gitsync_core::model::ObjectFormat;
use gitsync_core::transport::{Connection, Service, said_by_upstream};
use gitsync_core::{Error, ErrorKind, Result};

use super::call::Call;
use super::guarded::{Guarded, Unversioned};
use super::http::exchange;
use super::listing::{ListLimits, Listing, not_understood};
use super::packets::read_packet;
use super::v1::{self, Capability};

/// The greeting of an upstream.
#[derive(Debug)]
pub struct Greeting {
    capabilities: Vec<u8>,
    listing: Listing,
}

/// The streams to an upstream that goes on listening after its greeting.
pub struct Streams {
    /// What it says.
    pub reader: Box<dyn Read + Send>,
    /// What is said to it.
    pub writer: Box<dyn Write + Send>,
    /// Dropped last: it ends the process or the connection.
    _guard: Box<dyn Send>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl Streams {
    /// Says goodbye, so that a server at the other end of a pipe does not complain.
    pub fn close(mut self) {
        // Everything needed has been received; how the connection ends does not matter.
        let _ = self.writer.write_all(b"0000").and_then(|()| self.writer.flush());
    }
}

/// Asks a service of an upstream for its greeting. Over HTTP the conversation is over with that.
///
/// # Errors
/// Those of the [`Transport`](gitsync_core::Transport); [`ErrorKind::Corrupt`] if it makes no sense, and
/// [`ErrorKind::LimitExceeded`] past the bounds.
pub fn greet(call: &Call, service: Service, limits: ListLimits) -> Result<(Greeting, Option<Streams>)> {
    let (greeting, streams) = if call.source.scheme().is_http() {
        let suffix = format!("/info/refs?service={}", service.as_str());
        let answer = exchange(call, &suffix, &[], None)?;
        (Greeting::read(&mut BufReader::new(Guarded::new(answer.body, call)), limits, call), None)
    } else {
        let Connection { reader, writer, guard } = call.transport.connect(&call.source, service, 1, &call.limits)?;
        let mut reader = Unversioned::new(Guarded::new(BufReader::new(reader), call));
        let greeting = Greeting::read(&mut reader, limits, call);
        let writer = Box::new(Guarded::new(writer, call));
        (greeting, Some(Streams { reader: Box::new(reader), writer, _guard: guard }))
    };
    // What went wrong in the stream is kept aside, as it was.
    let greeting = greeting.map_err(|error| call.failure.take().unwrap_or(error).with("source", &call.source))?;
    Ok((greeting, streams))
}

impl Greeting {
    /// Understands a greeting that is known from before.
    ///
    /// # Errors
    /// As [`greet`], but for those of the transport.
    pub fn parse(text: &[u8], limits: ListLimits, call: &Call) -> Result<Self> {
        Greeting::read(&mut Cursor::new(text), limits, call)
    }

    fn read(reader: &mut impl Read, limits: ListLimits, call: &Call) -> Result<Self> {
        let mut line = Vec::new();
        let mut is_there = read_packet(reader, &mut line)?;
        if line.starts_with(b"# service=") {
            if read_packet(reader, &mut line)? {
                return Err(not_understood("a second line of greeting"));
            }
            is_there = read_packet(reader, &mut line)?;
        }
        if line == b"version 1" {
            is_there = read_packet(reader, &mut line)?;
        }
        if line.starts_with(b"version ") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the upstream speaks a version of git's protocol only that this engine does not",
            ));
        }
        if !is_there {
            return Err(not_understood("no references at all"));
        }
        refuse(&line, call)?;
        let at = line.iter().position(|byte| *byte == 0).ok_or_else(|| not_understood("no capabilities"))?;
        let capabilities = line.split_off(at)[1..].to_vec();
        let mut listing = v1::begin(v1::capabilities(&capabilities), limits)?;
        loop {
            v1::line(&mut listing, &line)?;
            if !read_packet(reader, &mut line)? {
                break;
            }
            refuse(&line, call)?;
        }
        Ok(Greeting { capabilities, listing })
    }

    /// Returns what the upstream can do.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability<'_>> + Clone {
        v1::capabilities(&self.capabilities)
    }

    /// Returns the upstream's hash function.
    pub fn format(&self) -> ObjectFormat {
        self.listing.format()
    }

    /// Tells whether the upstream lacks the parents of some commits.
    pub fn is_shallow(&self) -> bool {
        self.listing.is_shallow()
    }

    /// Returns the references.
    pub fn into_listing(self) -> Listing {
        self.listing
    }
}

/// Fails if the line is the last word of a server that gives up.
fn refuse(line: &[u8], call: &Call) -> Result<()> {
    let Some(said) = line.strip_prefix(b"ERR ") else { return Ok(()) };
    Err(said_by_upstream(&call.hide_secrets(&String::from_utf8_lossy(said))))
}
