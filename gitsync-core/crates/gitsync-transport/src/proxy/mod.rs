//! Proxies, which connect to hosts for us.

mod connect;
mod socks;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use gitsync_core::source::{Host, SourceUrl, redact};
use gitsync_core::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret as _, SecretString};

use crate::limits::{from_io, into_io};
use crate::resolver::GuardedResolver;
use crate::shown::Shown;
use crate::socket::{Stream, Wire, dial};
use crate::tls::{self, TlsConnector};

/// The longest user or password; SOCKS has one byte for its length.
const MAX_LOGIN: usize = 255;

/// A proxy that connects to hosts for us: `http://host:port` or, over TLS, `https://host:port`, which is asked by `CONNECT` also
/// for `http` sources, or `socks5://host:port`. The login is given apart, and shown nowhere.
///
/// An `https` proxy has to show a certificate for its host, of an authority that the sources behind it are trusted by, before it
/// is told anything.
///
/// ```
/// use gitsync_transport::Proxy;
///
/// let proxy: Proxy = "socks5://proxy.example.com:1080".parse()?;
/// let proxy = proxy.with_login("gitsync", "s3cret".into())?;
/// assert_eq!(proxy.to_string(), "socks5://proxy.example.com:1080");
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    protocol: Protocol,
    host: Host,
    port: u16,
    login: Option<Login>,
}

#[derive(Clone, Copy)]
enum Protocol {
    Http,
    Https,
    Socks5,
}

#[derive(Clone)]
struct Login {
    user: String,
    password: SecretString,
}

impl Proxy {
    /// Sets what the proxy is shown to prove who asks. What is said to one by `http` or `socks5` can be
    /// read on the way.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the user is empty or has a colon, or one of them more than 255 bytes.
    pub fn with_login(mut self, user: impl Into<String>, password: SecretString) -> Result<Self> {
        let user = user.into();
        let lengths = [user.len(), password.expose_secret().len()];
        if user.is_empty() || user.contains(':') || lengths.into_iter().any(|length| length > MAX_LOGIN) {
            return Err(Error::new(ErrorKind::InvalidInput, "the login of the proxy is not valid")
                .with("proxy", &self)
                .hint("a user has 1 to 255 bytes and no colon, a password at most 255 bytes"));
        }
        self.login = Some(Login { user, password });
        Ok(self)
    }

    /// Remembers what it is about to be shown on the way to a source.
    pub(crate) fn remember_in(&self, shown: &Shown, source: &SourceUrl) {
        if let Some(Login { user, password }) = &self.login {
            shown.remember_login(source, user, password);
        }
    }

    /// Opens a connection to the first of these addresses that the proxy can connect to.
    ///
    /// The proxy is told the address and never the name: the address is what the policy has judged. The proxy itself is of
    /// whoever configured it, and not judged.
    pub(crate) fn dial(
        &self,
        tls: &TlsConnector,
        resolver: &GuardedResolver,
        targets: &[SocketAddr],
        timeout: Duration,
    ) -> io::Result<Stream> {
        let addresses = resolver.addresses(&self.host, self.port)?;
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for target in targets {
            let connected = dial(&addresses, timeout).and_then(|stream| self.open(Wire(stream), tls, *target));
            let error = match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => self.explain(&error),
            };
            let may_reach_another = error.kind() == ErrorKind::SourceUnreachable && error.is_retryable();
            failure = into_io(error);
            if !may_reach_another {
                break;
            }
        }
        Err(failure)
    }

    /// Asks for a connection to a host.
    fn open(&self, wire: Wire, tls: &TlsConnector, target: SocketAddr) -> io::Result<Stream> {
        let login = self.login.as_ref();
        let mut stream = match self.protocol {
            Protocol::Http | Protocol::Socks5 => Stream::Clear(wire),
            Protocol::Https => Stream::Secure(Box::new(tls.secure(&self.host, wire)?)),
        };
        match self.protocol {
            Protocol::Http | Protocol::Https => connect::open(&mut stream, target, login)?,
            Protocol::Socks5 => socks::open(&mut stream, target, login)?,
        }
        Ok(stream)
    }

    /// Says that it was the proxy that failed, unless the call has ended.
    fn explain(&self, error: &io::Error) -> Error {
        if let Some(why) = tls::explain(error) {
            let told = Error::new(ErrorKind::SourceUnreachable, "no secure connection to the proxy is possible")
                .with("proxy", self)
                .with("reason", why.message())
                .hint(why.hint_text().unwrap_or_default());
            return if why.is_retryable() { told } else { told.permanent() };
        }
        match from_io(error) {
            Some(error) => error.with("proxy", self),
            None => Error::new(ErrorKind::SourceUnreachable, "the proxy cannot be reached")
                .with("proxy", self)
                .with("reason", redact(&error.to_string()))
                .hint("check host and port of the proxy, and that it is one of this kind"),
        }
    }
}

impl FromStr for Proxy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The text is not repeated: there may be a password in it.
        let invalid = || {
            Error::new(ErrorKind::InvalidInput, "the address of the proxy is not valid")
                .hint("write http://host:port, https://host:port or socks5://host:port; the login is set apart")
        };
        let (protocol, rest) = match text.split_once("://").ok_or_else(invalid)? {
            ("http", rest) => (Protocol::Http, rest),
            ("https", rest) => (Protocol::Https, rest),
            ("socks5", rest) => (Protocol::Socks5, rest),
            _ => return Err(invalid()),
        };
        let (host, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(invalid)?;
        Ok(Proxy { protocol, host: Host::parse(host).map_err(|_| invalid())?, port, login: None })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks5 => "socks5",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// The proxy does not let us in: a matter of its settings and ours, which trying again does not change.
fn not_let_in(had_login: bool) -> io::Error {
    let (message, hint) = if had_login {
        ("the proxy refused the login", "check user and password of the proxy")
    } else {
        ("the proxy asks for a login", "configure user and password of the proxy")
    };
    into_io(Error::new(ErrorKind::SourceUnreachable, message).hint(hint).permanent())
}

/// The proxy does not reach the host, or does not want to.
fn not_connected(target: SocketAddr, answer: impl fmt::Display) -> io::Error {
    into_io(
        Error::new(ErrorKind::SourceUnreachable, "the proxy did not connect to the host")
            .with("address", target)
            .with("answer", answer)
            .hint("the server may be down, or the rules of the proxy forbid it; it is asked by address"),
    )
}

fn no_answer_of_a_proxy() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its answer is not that of a proxy")
}
