//! Limits of a server.

use std::time::Duration;

use super::Tls;

/// How a [`Server`](super::Server) treats its callers.
///
/// Who calls is told by the headers, and only of those who are let in a message is read. So one connection holds at most
/// `max_streams` × `max_message_bytes` of messages, 25 MiB unless it is set otherwise, beside 256 KiB that were not read yet;
/// for a caller that is not let in it is the latter alone. The service needs 128 KiB for its largest request.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The certificate; `None` serves in clear text. Default: none.
    pub tls: Option<Tls>,
    /// Whether an address beyond the loopback may be served although everybody is let in. Default: no.
    pub allow_open: bool,
    /// The largest request in bytes. Default: 256 KiB.
    pub max_message_bytes: usize,
    /// How many connections are open at once; those beyond wait in the backlog of the socket. Default: 10,000.
    pub max_connections: usize,
    /// How many connections are open at once from one address, or for IPv6 from one network of 64 bits; those beyond are
    /// closed at once. Behind a proxy all clients have its address: then it should be as many as the proxy opens. Default: 1,000.
    pub max_connections_per_peer: usize,
    /// How long a connection takes requests. Clients open another one then by themselves; what runs, watches included, has as
    /// long again to end, and then the connection is closed. Default: 1 h.
    pub max_connection_age: Duration,
    /// How long a connection may take to begin, with the TLS handshake if there is one. One that takes longer is closed.
    /// Default: 10 s.
    pub handshake_timeout: Duration,
    /// How many requests, among them watches, a connection may have at once; clients keep those beyond to themselves until
    /// others have ended. Default: 100.
    pub max_streams: u32,
    /// How long a request may take, if the client does not wait for less; a watch only until it begins. One that takes
    /// longer is dropped and answered with `DEADLINE_EXCEEDED`. Default: 30 s.
    pub request_timeout: Duration,
    /// After how much silence a client is asked whether it is still there, and how long it has to answer. Default: 20 s.
    pub keepalive: Duration,
    /// How long requests that run are waited for at the end. Default: 10 s.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            tls: None,
            allow_open: false,
            max_message_bytes: 256 * 1024,
            max_connections: 10_000,
            max_connections_per_peer: 1000,
            max_connection_age: Duration::from_secs(3600),
            handshake_timeout: Duration::from_secs(10),
            max_streams: 100,
            request_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(20),
            drain: Duration::from_secs(10),
        }
    }
}
