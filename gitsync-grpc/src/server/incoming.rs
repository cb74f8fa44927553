//! Connections, from the listening socket to where their first request begins.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::ServerOptions;

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long no connection is taken when that failed, as it does where no file can be opened any more.
const PAUSE: Duration = Duration::from_millis(100);

/// Returns the connections that a listener takes, as soon as they have shown that they mean to make requests.
///
/// Tonic would make the TLS handshake in time, but wait for ever for what follows it, for any number of clients. Here a
/// connection has one of the places that there are from when it is taken until it is closed.
pub(super) fn incoming(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    options: &ServerOptions,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (limit, places) = (options.handshake_timeout, options.max_connections.clamp(1, Semaphore::MAX_PERMITS));
    let free = Arc::new(Semaphore::new(places));
    let accepted = stream::unfold((listener, free), |(listener, free)| async {
        let place = Arc::clone(&free).acquire_owned().await.ok()?;
        let stream = accept(&listener).await;
        Some(((stream, place), (listener, free)))
    });
    // Each on its own, so that nobody waits for a slow one, and the work is shared by the threads there are.
    let opened = accepted.map(move |(stream, place)| {
        let opening = open(stream, tls.clone(), place);
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

async fn accept(listener: &TcpListener) -> TcpStream {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};

    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and somebody waits for each. Without it they come all the same.
                stream.set_nodelay(true).ok();
                return stream;
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

/// Makes the TLS handshake, if there is to be one, and reads what HTTP/2 begins with.
async fn open(stream: TcpStream, tls: Option<TlsAcceptor>, place: OwnedSemaphorePermit) -> io::Result<Connection> {
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
    Ok(Connection { preface: PREFACE, stream, info, _place: place })
}

trait Bytes: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Bytes for T {}

/// A connection of which the preface was read.
pub(super) struct Connection {
    /// What is left of the preface to be read once more.
    preface: &'static [u8],
    stream: Pin<Box<dyn Bytes>>,
    info: TcpConnectInfo,
    _place: OwnedSemaphorePermit,
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
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
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
        let stream = accept(&listener).await;
        assert!(stream.nodelay().unwrap());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let mut connection = open(stream, None, place).await.unwrap();
        // In pieces that do not end where the preface does.
        let (mut read, mut piece) = (Vec::new(), [0; 7]);
        while let length @ 1.. = connection.read(&mut piece).await.unwrap() {
            read.extend_from_slice(&piece[..length]);
        }
        assert_eq!(read, sent);
    }
}
