//! Proxies on the loopback.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::listening::Listening;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// By the method `CONNECT` of HTTP.
    Http,
    /// By SOCKS 5.
    Socks5,
}

impl ProxyProtocol {
    /// Both of them.
    pub const ALL: [ProxyProtocol; 2] = [ProxyProtocol::Http, ProxyProtocol::Socks5];
}

/// A proxy that remembers what it was asked for.
pub struct ProxyServer {
    listening: Listening,
    protocol: ProxyProtocol,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Says where to connect to instead of an address.
type Reach = dyn Fn(SocketAddr) -> Option<SocketAddr> + Send + Sync;

/// What a proxy wants to hear, and what it does then.
struct Script {
    protocol: ProxyProtocol,
    /// `user:password`.
    login: Option<&'static str>,
    reach: Box<Reach>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ProxyServer {
    /// Starts a proxy. It asks for a login, `user:password`, if there is one. The function says where it connects to when it is
    /// asked for an address: to that one, to another one, or nowhere.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(
        protocol: ProxyProtocol,
        login: Option<&'static str>,
        reach: impl Fn(SocketAddr) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let script = Script { protocol, login, reach: Box::new(reach), asked: Arc::clone(&asked) };
        ProxyServer { listening: Listening::start(move |client| script.serve(client)), protocol, asked }
    }

    /// Returns the address as it is configured.
    pub fn url(&self) -> String {
        let scheme = match self.protocol {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Socks5 => "socks5",
        };
        format!("{scheme}://{}", self.listening.address())
    }

    /// Returns what was asked for by whom was let in: addresses or names, with ports.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.listening.connections()
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyServer({})", self.url())
    }
}

impl Script {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client.try_clone()?);
        let connected = match self.protocol {
            ProxyProtocol::Http => self.http(&mut reader, &client)?,
            ProxyProtocol::Socks5 => self.socks(&mut reader, &client)?,
        };
        let Some(server) = connected else { return client.shutdown(Shutdown::Both) };
        let (mut to_client, mut from_server) = (client, server.try_clone()?);
        thread::spawn(move || {
            io::copy(&mut from_server, &mut to_client).ok();
            to_client.shutdown(Shutdown::Both).ok();
        });
        io::copy(&mut reader, &mut &server)?;
        server.shutdown(Shutdown::Write)
    }

    /// Connects, if it was asked for an address and may.
    fn connect(&self, target: String) -> io::Result<Option<TcpStream>> {
        let address = target.parse().ok().and_then(&self.reach);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        address.map(TcpStream::connect).transpose()
    }

    fn http(&self, reader: &mut BufReader<TcpStream>, mut client: &TcpStream) -> io::Result<Option<TcpStream>> {
        let mut head = Vec::new();
        for line in reader.by_ref().lines() {
            match line? {
                line if line.is_empty() => break,
                line => head.push(line),
            }
        }
        let login = self.login.map(|login| format!("Proxy-Authorization: Basic {}", BASE64.encode(login)));
        if login.is_some_and(|login| !head.contains(&login)) {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(None);
        }
        let line = head.first().map(String::as_str).unwrap_or_default();
        let target = line.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
        let Some(target) = target else {
            client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(None);
        };
        let server = self.connect(target.to_owned())?;
        let answer = if server.is_some() { "200 Connection established" } else { "403 Forbidden" };
        write!(client, "HTTP/1.1 {answer}\r\nVia: a proxy\r\n\r\n")?;
        Ok(server)
    }

    fn socks(&self, reader: &mut BufReader<TcpStream>, mut client: &TcpStream) -> io::Result<Option<TcpStream>> {
        let count = take::<2>(reader)?[1];
        let methods = text(reader, count)?;
        match self.login {
            None => client.write_all(&[5, 0])?,
            Some(_) if !methods.contains('\u{2}') => {
                client.write_all(&[5, 0xff])?;
                return Ok(None);
            }
            Some(login) => {
                client.write_all(&[5, 2])?;
                let length = take::<2>(reader)?[1];
                let user = text(reader, length)?;
                let length = take::<1>(reader)?[0];
                let password = text(reader, length)?;
                let right = format!("{user}:{password}") == login;
                client.write_all(&[1, u8::from(!right)])?;
                if !right {
                    return Ok(None);
                }
            }
        }
        let host = match take::<4>(reader)? {
            [5, 1, 0, 1] => IpAddr::from(take::<4>(reader)?).to_string(),
            [5, 1, 0, 4] => format!("[{}]", IpAddr::from(take::<16>(reader)?)),
            [5, 1, 0, 3] => {
                let length = take::<1>(reader)?[0];
                text(reader, length)?
            }
            _ => return Ok(None),
        };
        let server = self.connect(format!("{host}:{}", u16::from_be_bytes(take(reader)?)))?;
        client.write_all(&[5, if server.is_some() { 0 } else { 2 }, 0, 3, 5])?;
        client.write_all(b"proxy\0\0")?;
        Ok(server)
    }
}

fn take<const N: usize>(reader: &mut impl io::Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(reader: &mut impl io::Read, length: u8) -> io::Result<String> {
    let mut text = String::new();
    reader.take(length.into()).read_to_string(&mut text)?;
    Ok(text)
}
