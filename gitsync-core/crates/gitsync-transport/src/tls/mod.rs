//! TLS over the connections to hosts.

mod certificates;
mod explain;

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use gitsync_core::source::Host;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::limits::into_io;

pub use certificates::{CaCertificates, ClientCertificate};
pub(crate) use explain::explain;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes https connections secure. Who is trusted, and which certificate we show, is the same for all of them.
pub(crate) struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    pub(crate) fn new<'a>(
        authorities: impl IntoIterator<Item = &'a CaCertificates>,
        client_certificate: Option<&ClientCertificate>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(certificates::trusted(authorities));
        let config = match client_certificate {
            Some(certificate) => builder.with_client_cert_resolver(certificate.resolver()),
            None => builder.with_no_client_auth(),
        };
        TlsConnector { config: Arc::new(config) }
    }

    /// Makes a connection secure. Nothing is said on it before the other side has proved to be the host.
    pub(crate) fn secure<S: Read + Write>(
        &self,
        host: &Host,
        mut below: S,
    ) -> io::Result<StreamOwned<ClientConnection, S>> {
        let name = match host.address() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(host.to_string())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the name is none of DNS"))?,
        };
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        connection.complete_io(&mut below)?;
        Ok(StreamOwned::new(connection, below))
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsStream<In>>;

    fn connect(&self, details: &ConnectionDetails<'_>, below: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        let host = Host::parse(details.uri.host().unwrap_or_default()).map_err(into_io)?;
        let stream = self.secure(&host, TransportAdapter::new(below, Arc::clone(&details.current_time)))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsStream { stream, buffers })))
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

/// A connection that nobody on the way can read.
pub(crate) struct TlsStream<T: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<T>>,
    buffers: LazyBuffers,
}

impl<T: Transport> Transport for TlsStream<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<T: Transport> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("below", &self.stream.sock.inner()).finish_non_exhaustive()
    }
}
