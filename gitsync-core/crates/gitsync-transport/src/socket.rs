//! TCP connections whose every wait ends by the limits of the call that waits.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use crate::limits::{SLICE, from_io, in_slices, on_a_thread};
use crate::proxy::Proxy;
use crate::resolver::GuardedResolver;
use crate::tls::TlsConnector;

/// Connects to the addresses the resolver has checked, and to nothing else, be it through a proxy.
#[derive(Debug)]
pub(crate) struct SocketConnector {
    pub(crate) timeout: Duration,
    /// The proxy, and how a connection to it is made secure if it has to be.
    pub(crate) proxy: Option<(Proxy, TlsConnector)>,
    pub(crate) resolver: GuardedResolver,
}

impl Connector<()> for SocketConnector {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<()>) -> Result<Option<Socket>, ureq::Error> {
        let stream = match &self.proxy {
            None => Stream::Clear(Wire(dial(&details.addrs, self.timeout)?)),
            Some((proxy, tls)) => proxy.dial(tls, &self.resolver, &details.addrs, self.timeout)?,
        };
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Socket { stream, buffers }))
    }
}

/// Connects to the first of these addresses that answers. What blocks on the stream does so in slices.
pub(crate) fn dial(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + timeout;
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().copied().enumerate() {
        let share = share(end, addresses.len() - tried);
        match on_a_thread(share + SLICE, move || TcpStream::connect_timeout(&address, share)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SLICE))?;
                stream.set_write_timeout(Some(SLICE))?;
                return Ok(stream);
            }
            // The call has ended.
            Err(error) if from_io(&error).is_some() => return Err(error),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns how long the next of `left` addresses is tried: one that swallows packets must not use up the time of the others.
pub(crate) fn share(end: Instant, left: usize) -> Duration {
    let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
    (end.saturating_duration_since(Instant::now()) / left).max(Duration::from_millis(100))
}

/// A TCP connection whose waits end by the limits of the call that waits.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        in_slices(|| self.0.read(buffer))
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        in_slices(|| self.0.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What leads to a host.
pub(crate) enum Stream {
    Clear(Wire),
    /// By a proxy, to which nobody on the way can read.
    Secure(Box<StreamOwned<ClientConnection, Wire>>),
}

impl Stream {
    fn wire(&self) -> &TcpStream {
        match self {
            Stream::Clear(wire) => &wire.0,
            Stream::Secure(stream) => &stream.sock.0,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(wire) => wire.read(buffer),
            Stream::Secure(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Clear(wire) => wire.write(buffer),
            Stream::Secure(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Clear(wire) => wire.flush(),
            Stream::Secure(stream) => stream.flush(),
        }
    }
}

/// A connection to a host. The time limits of the HTTP client are not used: those of the current call hold.
pub(crate) struct Socket {
    stream: Stream,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        self.stream.flush()?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // An idle connection has nothing to say; what says something is out of step.
        let idle = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            io::Result::Ok(matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
        };
        idle(self.stream.wire()).unwrap_or(false)
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("peer", &self.stream.wire().peer_addr().ok()).finish_non_exhaustive()
    }
}
