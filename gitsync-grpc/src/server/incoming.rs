//! Connections, from the listening socket to where their first request begins.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::ServerOptions;
use crate::places::{Place, Places};

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long no connection is taken when that failed, as it does where no file can be opened any more.
const PAUSE: Duration = Duration::from_millis(100);

/// Returns the connections that a listener takes, as soon as they have shown that they mean to make requests.
///
/// Tonic would make the TLS handshake in time, but wait for ever for what follows it, for any number of clients. Here a
/// connection has one of the places that there are, and one of those of its peer, from when it is taken until it is closed.
/// It is closed at the latest when it is twice as old as it may get: tonic ends one in good order or by force, but not by the
/// latter after the former, and in good order a client that never ends its requests never goes.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    options: &ServerOptions,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (limit, places) = (options.handshake_timeout, options.max_connections.clamp(1, Semaphore::MAX_PERMITS));
    let (per_peer, max_age) = (options.max_connections_per_peer, options.max_connection_age.saturating_mul(2));
    let free = Arc::new(Semaphore::new(places));
    let accepted = stream::unfold((listener, free), |(listener, free)| async {
        let place = Arc::clone(&free).acquire_owned().await.ok()?;
        let accepted = accept(&listener).await;
        Some(((accepted, place), (listener, free)))
    });
    let peers = Arc::new(Places::default());
    let admitted = accepted.filter_map(move |((stream, address), place)| {
        let peer = peers.enter(peer(address), per_peer);
        if peer.is_none() {
            tracing::debug!(%address, "a connection is closed, since its peer has too many");
        }
        std::future::ready(peer.map(|peer| (stream, Seat { _place: place, _peer: peer })))
    });
    // Each on its own, so that nobody waits for a slow one, and the work is shared by the threads there are.
    let opened = admitted.map(move |(stream, seat)| {
        let opening = open(stream, tls.clone(), seat, max_age);
        tokio::spawn(async move { tokio::time::timeout(limit, opening).await })
    });
    opened.buffer_unordered(places).filter_map(async |opened| match opened.ok()? {
        Ok(Ok(connection)) => Some(Ok(connection)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection did not begin");
            None
        }
        Err(_) => {
            tracing::debug!("a connection did not begin in time");
            None
        }
    })
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};

    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are small, and somebody waits for each. Without it they come all the same.
                stream.set_nodelay(true).ok();
                return (stream, address.ip());
            }
            Err(error)
                if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken for the moment");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Returns who is counted as one peer: an address, or for IPv6 the network that one customer gets.
fn peer(address: IpAddr) -> IpAddr {
    const INTERFACE: u128 = u64::MAX as u128;

    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !INTERFACE).into(),
        v4 => v4,
    }
}

/// The places that a connection has.
struct Seat {
    _place: OwnedSemaphorePermit,
    _peer: Place<IpAddr>,
}

/// Makes the TLS handshake, if there is to be one, and reads what HTTP/2 begins with.
async fn open(stream: TcpStream, tls: Option<TlsAcceptor>, seat: Seat, max_age: Duration) -> io::Result<Connection> {
    let end = Box::pin(tokio::time::sleep(max_age));
    let info = stream.connect_info();
    let mut stream: Pin<Box<dyn Bytes>> = match tls {
        Some(tls) => Box::pin(tls.accept(stream).await?),
        None => Box::pin(stream),
    };
    let mut said = [0; PREFACE.len()];
    stream.read_exact(&mut said).await?;
    if said != PREFACE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP/2"));
    }
    Ok(Connection { preface: PREFACE, stream, info, end, _seat: seat })
}

trait Bytes: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// A connection of which the preface was read.
pub(super) struct Connection {
    /// What is left of the preface to be read once more.
    preface: &'static [u8],
    stream: Pin<Box<dyn Bytes>>,
    info: TcpConnectInfo,
    /// When it is broken off.
    end: Pin<Box<Sleep>>,
    _seat: Seat,
}

impl Connection {
    /// Fails when the connection is too old.
    fn check_age(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the connection is too old")),
            Poll::Pending => Ok(()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_age(context)?;
        if self.preface.is_empty() {
            return self.stream.as_mut().poll_read(context, buffer);
        }
        let (now, later) = self.preface.split_at(self.preface.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.preface = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_age(context)?;
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_age(context)?;
        self.stream.as_mut().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_age(context)?;
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_read_from_its_beginning_and_answers_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let sent = [PREFACE, b"and more"].concat();
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let (stream, address) = accept(&listener).await;
        assert!(stream.nodelay().unwrap());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let seat = Seat { _place: place, _peer: Arc::new(Places::default()).enter(address, 1).unwrap() };
        let mut connection = open(stream, None, seat, Duration::from_secs(3600)).await.unwrap();
        // In pieces that do not end where the preface does.
        let (mut read, mut piece) = (Vec::new(), [0; 7]);
        while let length @ 1.. = connection.read(&mut piece).await.unwrap() {
            read.extend_from_slice(&piece[..length]);
        }
        assert_eq!(read, sent);
    }
    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let of = |text: &str| peer(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7", "as a socket for both has it");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
    }
}
