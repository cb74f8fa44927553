//! TCP connections whose every wait ends by the limits of the call that waits.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use crate::limits::{SLICE, from_io, in_slices, on_a_thread};

/// Connects to the addresses the resolver has checked, and to nothing else.
#[derive(Debug)]
pub(crate) struct SocketConnector {
    pub(crate) timeout: Duration,
}

impl Connector<()> for SocketConnector {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails<'_>, _chained: Option<()>) -> Result<Option<Socket>, ureq::Error> {
        let end = Instant::now() + self.timeout;
        let count = details.addrs.len();
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (tried, address) in details.addrs.iter().copied().enumerate() {
            // An address that swallows packets must not use up the time of the others.
            let left = u32::try_from(count - tried).unwrap_or(u32::MAX);
            let share = (end.saturating_duration_since(Instant::now()) / left).max(Duration::from_millis(100));
            match on_a_thread(share + SLICE, move || TcpStream::connect_timeout(&address, share)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(SLICE))?;
                    stream.set_write_timeout(Some(SLICE))?;
                    let buffers =
                        LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(Socket { stream, buffers }));
                }
                // The call has ended.
                Err(error) if from_io(&error).is_some() => return Err(error.into()),
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }
}

/// A TCP connection. The time limits of the HTTP client are not used: those of the current call hold.
pub(crate) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let mut output = &self.buffers.output()[..amount];
        while !output.is_empty() {
            match in_slices(|| (&self.stream).write(output))? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                written => output = &output[written..],
            }
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let input = self.buffers.input_append_buf();
        let amount = in_slices(|| (&self.stream).read(input))?;
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
        idle(&self.stream).unwrap_or(false)
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("peer", &self.stream.peer_addr().ok()).finish_non_exhaustive()
    }
}
