//! The service on a socket.

mod authentication;
mod deadline;
mod incoming;
mod options;
mod tls;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

use gitsync_core::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Router;

pub use options::ServerOptions;
pub use tls::Tls;

use self::authentication::Authentication;
use self::deadline::Deadline;
use self::incoming::incoming;
use crate::Service;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::git_repository_service_server::GitRepositoryServiceServer;

/// How much of what nobody has read yet a client may send, on all streams of a connection together.
const WINDOW: u32 = 256 * 1024;

/// The largest question about health or the protocol, which everybody may ask.
const MAX_QUESTION_BYTES: usize = 4 * 1024;

/// The service with health, reflection and limits, bound to a socket.
pub struct Server {
    service: Service,
    options: ServerOptions,
    tls: Option<TlsAcceptor>,
    listener: TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).field("options", &self.options).finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the service to an address; connections wait until it is [served](Server::serve).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if everybody is let in and the address is not on the loopback, unless
    /// [`ServerOptions::allow_open`] is set, or if the certificate or its key make no sense; [`ErrorKind::Unavailable`] if the
    /// address cannot be bound.
    pub async fn bind(service: Service, address: SocketAddr, options: ServerOptions) -> Result<Self> {
        if service.is_open() && !address.ip().is_loopback() && !options.allow_open {
            let error = Error::new(ErrorKind::InvalidInput, "without tokens the server listens on the loopback only");
            return Err(error
                .with("address", address)
                .hint("configure tokens, or say that everybody may do everything"));
        }
        let tls = options.tls.as_ref().map(Tls::acceptor).transpose()?;
        let cannot = |error| Error::new(ErrorKind::Unavailable, "the address cannot be bound").caused_by(error);
        let listener = TcpListener::bind(address).await.map_err(|error| cannot(error).with("address", address))?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Server { service, options, tls, listener, address })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then takes no more requests, ends all watches, and waits for the requests that run, at
    /// most for [`ServerOptions::drain`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] if the socket breaks.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<GitRepositoryServiceServer<Service>>().await;
        let (drain, service) = (self.options.drain, self.service.clone());
        let health = Deadline::new(health.max_decoding_message_size(MAX_QUESTION_BYTES), self.options.request_timeout);
        let router = router(self.service, &self.options)?.add_service(health);
        let (stopping, stopped) = oneshot::channel::<()>();
        let incoming = incoming(self.listener, self.tls, &self.options);
        let serving = router.serve_with_incoming_shutdown(incoming, async {
            stopped.await.ok();
        });
        let ending = async {
            stop.await;
            reporter.set_not_serving::<GitRepositoryServiceServer<Service>>().await;
            service.stop();
            stopping.send(()).ok();
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            done = serving => done.map_err(|error| Error::new(ErrorKind::Internal, "serving ended").caused_by(error)),
            () = ending => Ok(()),
        }
    }
}

fn router(service: Service, options: &ServerOptions) -> Result<Router> {
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let invalid = |error| Error::new(ErrorKind::Internal, "the protocol's own description is broken").caused_by(error);
    let methods = GitRepositoryServiceServer::new(service.clone()).max_decoding_message_size(options.max_message_bytes);
    let v1 = describe().build_v1().map_err(invalid)?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1alpha = describe().build_v1alpha().map_err(invalid)?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let limit = options.request_timeout;
    Ok(tonic::transport::Server::builder()
        .max_concurrent_streams(options.max_streams)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_connection_age(options.max_connection_age)
        .http2_keepalive_interval(Some(options.keepalive))
        .http2_keepalive_timeout(Some(options.keepalive))
        .add_service(Deadline::new(Authentication::new(methods, service), limit))
        .add_service(Deadline::new(v1, limit))
        .add_service(Deadline::new(v1alpha, limit)))
}
