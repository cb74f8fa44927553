//! Proxies, which connect to hosts for us.

mod connect;
mod socks;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use gitsync_core::source::{Host, SourceUrl, redact};
use gitsync_core::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret as _, SecretString};

use crate::limits::{from_io, in_slices, into_io};
use crate::resolver::GuardedResolver;
use crate::shown::Shown;
use crate::socket::dial;

/// The longest user or password; SOCKS has one byte for its length.
const MAX_LOGIN: usize = 255;

/// A proxy that connects to hosts for us: `http://host:port`, which is asked by `CONNECT` also for `http` sources, or
/// `socks5://host:port`. The login is given apart, and shown nowhere.
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
    Socks5,
}

#[derive(Clone)]
struct Login {
    user: String,
    password: SecretString,
}

impl Proxy {
    /// Sets what the proxy is shown to prove who asks. An `http` proxy can be read on the way.
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
        resolver: &GuardedResolver,
        targets: &[SocketAddr],
        timeout: Duration,
    ) -> io::Result<TcpStream> {
        let addresses = resolver.addresses(&self.host, self.port)?;
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for target in targets {
            let connected = dial(&addresses, timeout).and_then(|stream| {
                let mut talk = Talk(&stream);
                match self.protocol {
                    Protocol::Http => connect::open(&mut talk, *target, self.login.as_ref())?,
                    Protocol::Socks5 => socks::open(&mut talk, *target, self.login.as_ref())?,
                }
                Ok(stream)
            });
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

    /// Says that it was the proxy that failed, unless the call has ended.
    fn explain(&self, error: &io::Error) -> Error {
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
                .hint("write http://host:port or socks5://host:port; the login is set apart")
        };
        let (protocol, rest) = match text.split_once("://").ok_or_else(invalid)? {
            ("http", rest) => (Protocol::Http, rest),
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

/// What is said to a proxy before the connection is one to the host. Waits as long as the call does.
struct Talk<'a>(&'a TcpStream);

impl Read for Talk<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        in_slices(|| self.0.read(buffer))
    }
}

impl Write for Talk<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        in_slices(|| self.0.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
