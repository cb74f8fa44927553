//! HTTP exchanges over pooled connections.

use std::io::{self, Read};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use gitsync_core::source::{Credentials, Scheme, SourceUrl, redact};
use gitsync_core::transport::{CallLimits, HttpRequest, HttpResponse};
use gitsync_core::{Error, ErrorKind, Result};
use secrecy::ExposeSecret;
use ureq::http::{HeaderValue, Request, header};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, AsSendBody, BodyReader, SendBody};

use crate::answer;
use crate::failure::{io_error, unusable};
use crate::limits::{Guard, Meter, into_io};
use crate::resolver::GuardedResolver;
use crate::socket::SocketConnector;
use crate::tls::TlsConnector;
use crate::{HostOptions, NetOptions, NetTransport};

/// Bodies up to this size are sent with their length: some servers cannot read chunks.
const MAX_BUFFERED_BODY: u64 = 1024 * 1024;

/// The clients all calls share, and with them the pools of connections: one for each setting of hosts, so that a connection is
/// used for no host it was not made for.
#[derive(Clone)]
pub(crate) struct Clients {
    /// In the order of the options.
    of_hosts: Vec<Agent>,
    of_others: Agent,
}

impl Clients {
    pub(crate) fn new(options: &NetOptions, resolver: &GuardedResolver) -> Self {
        let of_hosts = options.hosts.iter().map(|host| client(options, Some(host), resolver)).collect();
        Clients { of_hosts, of_others: client(options, None, resolver) }
    }

    fn of(&self, source: &SourceUrl, options: &NetOptions) -> &Agent {
        let number = source.host().and_then(|host| options.of_host(host));
        number.and_then(|number| self.of_hosts.get(number)).unwrap_or(&self.of_others)
    }
}

fn client(options: &NetOptions, host: Option<&HostOptions>, resolver: &GuardedResolver) -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(options.user_agent.as_str())
        .max_idle_connections(options.idle_connections)
        .max_idle_connections_per_host(options.idle_connections_per_host)
        // Packs are large, system calls are not free. Headers must fit with room to spare, or too large ones look like the end.
        .input_buffer_size(64 * 1024)
        .max_response_header_size(32 * 1024)
        .build();
    let authorities = [&options.ca_certificates].into_iter().chain(host.map(|host| &host.ca_certificates));
    let certificate = host.and_then(|host| host.client_certificate.as_ref());
    let proxy = host.and_then(|host| host.proxy.clone());
    let sockets = SocketConnector {
        timeout: options.connect_timeout,
        // What a source asks of us is shown to no proxy.
        proxy: proxy.map(|proxy| (proxy, TlsConnector::new(authorities.clone(), None))),
        resolver: resolver.clone(),
    };
    Agent::with_parts(config, sockets.chain(TlsConnector::new(authorities, certificate)), resolver.clone())
}

/// Carries out one exchange with a source that has passed the policy.
pub(crate) fn exchange(
    transport: &NetTransport,
    request: HttpRequest<'_>,
    limits: &CallLimits,
) -> Result<HttpResponse> {
    let HttpRequest { source, suffix, headers, body } = request;
    let authorization = authorization(transport, source)?;
    let mut builder = Request::builder().uri(source.join_suffix(suffix));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let had_credentials = authorization.is_some();
    if let Some(value) = authorization {
        builder = builder.header(header::AUTHORIZATION, value);
    }

    if let Some(proxy) = transport.proxy_of(source) {
        proxy.remember_in(&transport.shown, source);
    }
    let client = transport.clients.of(source, &transport.options);
    let guard = Guard { limits: limits.clone(), idle: transport.options.idle_timeout };
    let response = guard
        .within(|| match body {
            None => run(client, builder.method("GET").body(())),
            Some(body) => {
                let builder = builder.method("POST");
                let mut start = Vec::new();
                Read::take(&mut *body, MAX_BUFFERED_BODY + 1).read_to_end(&mut start)?;
                if start.len() as u64 <= MAX_BUFFERED_BODY {
                    return run(client, builder.body(start));
                }
                let mut whole = start.chain(body);
                run(client, builder.body(SendBody::from_reader(&mut whole)))
            }
        })
        .map_err(|error| client_error(error, source))?;

    let (parts, body) = response.into_parts();
    let length = body.content_length();
    let mut body = GuardedBody {
        reader: body.into_reader(),
        meter: Meter::new(limits),
        guard,
        source: source.clone(),
        finished: false,
    };
    if !parts.status.is_success() {
        return Err(answer::failure(parts.status, &parts.headers, source, suffix, had_credentials, SystemTime::now()));
    }
    if let Err(error) = body.meter.expect(length.unwrap_or(0)) {
        body.finished = true;
        return Err(error.with("url", source));
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(HttpResponse { content_type: content_type.unwrap_or_default().to_owned(), body: Box::new(body) })
}

type ClientResult<T> = std::result::Result<T, ureq::Error>;

fn run<B: AsSendBody>(
    agent: &Agent,
    request: ureq::http::Result<Request<B>>,
) -> ClientResult<ureq::http::Response<ureq::Body>> {
    agent.run(request?)
}

/// Asks for the credentials of a source and writes them as a header.
fn authorization(transport: &NetTransport, source: &SourceUrl) -> Result<Option<HeaderValue>> {
    if source.scheme() == Scheme::Http && !transport.options.credentials_in_clear {
        return Ok(None);
    }
    let Some(credentials) = transport.credentials.credentials(source)? else { return Ok(None) };
    transport.shown.remember(source, &credentials);
    let text = match credentials {
        Credentials::UserPassword { user, password } => {
            format!("Basic {}", BASE64.encode(format!("{user}:{}", password.expose_secret())))
        }
        Credentials::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        _ => {
            return Err(unusable(source, "https sources take a user with a password or token, or a bearer token"));
        }
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| unusable(source, "the token contains characters no header can have"))?;
    // Keeps the value out of the client's debug output.
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Turns an error of the HTTP client into one of ours. Its text is of third parties.
fn client_error(error: ureq::Error, source: &SourceUrl) -> Error {
    let reason = redact(&error.to_string());
    let new = |kind, message: &str| Error::new(kind, message).with("url", source).with("reason", &reason);
    match error {
        ureq::Error::Io(error) => io_error(&error, source),
        ureq::Error::LargeResponseHeader(..) => {
            new(ErrorKind::LimitExceeded, "the headers of the answer are too large")
        }
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => new(ErrorKind::Internal, "the request cannot be written"),
        _ => new(ErrorKind::SourceUnreachable, "the exchange with the server failed"),
    }
}

/// A response body under the limits of its call.
struct GuardedBody {
    reader: BodyReader<'static>,
    meter: Meter,
    guard: Guard,
    source: SourceUrl,
    /// Whether the connection has nothing left to give, be it by its end or by an error.
    finished: bool,
}

impl Read for GuardedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // A stream that never pauses never waits, and waiting is where the limits are looked at.
        let read =
            self.guard.limits.check().map_err(into_io).and_then(|()| self.guard.within(|| self.reader.read(buffer)));
        let counted = match read {
            Ok(count) => self.meter.add(count as u64).map(|()| count).map_err(into_io),
            Err(error) => Err(error),
        };
        self.finished = !matches!(counted, Ok(1..));
        counted.map_err(|error| into_io(io_error(&error, &self.source)))
    }
}

impl Drop for GuardedBody {
    /// Reads what little may be left: a git client stops at the last packet, which comes before the end of the last chunk,
    /// and a connection is used again only if its response was read to the end.
    fn drop(&mut self) {
        const LITTLE: usize = 16 * 1024;
        if self.finished {
            return;
        }
        self.guard.limits.deadline = self.guard.limits.deadline.min(Instant::now() + Duration::from_millis(50));
        let mut left = LITTLE;
        let mut buffer = [0; 4096];
        while left > 0 {
            match self.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
    }
}
