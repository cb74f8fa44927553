//! The method `CONNECT` of HTTP proxies, RFC 9110.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::ExposeSecret as _;

use super::{Login, no_answer_of_a_proxy, not_connected, not_let_in};

/// The longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;

/// Asks for a connection; what follows on the stream is of the target.
pub(super) fn open(proxy: &mut (impl Read + Write), target: SocketAddr, login: Option<&Login>) -> io::Result<()> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(Login { user, password }) = login {
        let login = BASE64.encode(format!("{user}:{}", password.expose_secret()));
        request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
    }
    request.push_str("\r\n");
    proxy.write_all(request.as_bytes())?;
    match status(&read_head(proxy)?).ok_or_else(no_answer_of_a_proxy)? {
        200..=299 => Ok(()),
        407 => Err(not_let_in(login.is_some())),
        status => Err(not_connected(target, status)),
    }
}

/// Reads to the empty line, and no byte more.
fn read_head(proxy: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        proxy.read_exact(&mut byte)?;
        head.extend(byte);
        if head.len() > MAX_HEAD {
            return Err(no_answer_of_a_proxy());
        }
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?;
    words.next().filter(|word| version.starts_with("HTTP/1.") && word.len() == 3)?.parse().ok()
}
