//! The protocol of `git daemon`: a line that says what is wanted, and then the service itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use gitsync_core::source::{Host, SourceUrl};
use gitsync_core::transport::{CallLimits, Connection, Service};
use gitsync_core::{Error, ErrorKind, Result};

use crate::NetTransport;
use crate::failure::io_error;
use crate::limits::{Guard, Meter, in_slices, into_io};
use crate::socket::dial;

/// Connects to a service of a source that has passed the policy.
pub(crate) fn connect(
    transport: &NetTransport,
    url: &SourceUrl,
    service: Service,
    version: u8,
    limits: &CallLimits,
) -> Result<Connection> {
    let (Some(host), Some(port)) = (url.host(), url.port()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "the source has no host").with("url", url));
    };
    let options = &transport.options;
    let guard = Guard { limits: limits.clone(), idle: options.idle_timeout };
    let open = || {
        let addresses = transport.resolver.resolve(host, port)?;
        let socket = dial(&addresses, options.connect_timeout)?;
        Ok((socket.try_clone()?, socket))
    };
    let (reader, writer): (TcpStream, TcpStream) =
        guard.within(open).map_err(|error: io::Error| io_error(&error, url))?;
    let peer = Arc::new(Peer { guard, url: url.clone() });
    let mut writer = Output { socket: writer, peer: Arc::clone(&peer) };
    writer.write_all(&request(url, host, service, version)).map_err(|error| io_error(&error, url))?;
    let guard = ShutOnDrop(reader.try_clone()?);
    let reader = Input { socket: reader, meter: Meter::new(limits), peer };
    Ok(Connection { reader: Box::new(reader), writer: Box::new(writer), guard: Box::new(guard) })
}

/// Writes the line that says what is wanted. Version 1 is asked for by silence.
fn request(url: &SourceUrl, host: &Host, service: Service, version: u8) -> Vec<u8> {
    // As git does: a home directory is asked for without the slash.
    let path = url.path();
    let path = if path.starts_with("/~") { &path[1..] } else { path };
    let port = url.port().filter(|port| Some(*port) != url.scheme().default_port());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let version = if version == 2 { "\0version=2\0" } else { "" };
    let line = format!("{} {path}\0host={host}{port}\0{version}", service.as_str());
    format!("{:04x}{line}", line.len() + 4).into_bytes()
}

/// The other end: what ends the wait for it, and who it is.
struct Peer {
    guard: Guard,
    url: SourceUrl,
}

impl Peer {
    fn wait_for(&self, attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        self.guard.within(|| in_slices(attempt)).map_err(|error| into_io(io_error(&error, &self.url)))
    }
}

struct Input {
    socket: TcpStream,
    meter: Meter,
    peer: Arc<Peer>,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.peer.wait_for(|| self.socket.read(buffer))?;
        self.meter.add(count as u64).map_err(|error| into_io(error.with("url", &self.peer.url)))?;
        Ok(count)
    }
}

struct Output {
    socket: TcpStream,
    peer: Arc<Peer>,
}

impl Write for Output {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.peer.wait_for(|| self.socket.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ShutOnDrop(TcpStream);

impl Drop for ShutOnDrop {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_that_of_git() {
        let line = |url: &str, service, version| {
            let url: SourceUrl = url.parse().unwrap();
            let line = String::from_utf8(request(&url, url.host().unwrap(), service, version)).unwrap();
            assert_eq!(usize::from_str_radix(&line[..4], 16), Ok(line.len()));
            line[4..].to_owned()
        };
        let table = [
            ("git://host/a.git", Service::UploadPack, 1, "git-upload-pack /a.git\0host=host\0"),
            ("git://host:9418/a.git", Service::UploadPack, 2, "git-upload-pack /a.git\0host=host\0\0version=2\0"),
            ("git://host:1234/a%20b", Service::ReceivePack, 1, "git-receive-pack /a b\0host=host:1234\0"),
            ("git://[::1]:1234/a", Service::UploadPack, 1, "git-upload-pack /a\0host=[::1]:1234\0"),
            ("git://host/~me/a", Service::UploadPack, 1, "git-upload-pack ~me/a\0host=host\0"),
        ];
        for (url, service, version, expected) in table {
            assert_eq!(line(url, service, version), expected);
        }
    }
}
