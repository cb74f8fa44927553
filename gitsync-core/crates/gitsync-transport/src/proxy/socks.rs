//! SOCKS 5, RFC 1928 and 1929.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use secrecy::ExposeSecret as _;

use super::{Login, no_answer_of_a_proxy, not_connected, not_let_in};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks for a connection; what follows on the stream is of the target.
pub(super) fn open(proxy: &mut (impl Read + Write), target: SocketAddr, login: Option<&Login>) -> io::Result<()> {
    match login {
        Some(_) => proxy.write_all(&[VERSION, 2, NO_LOGIN, USER_AND_PASSWORD])?,
        None => proxy.write_all(&[VERSION, 1, NO_LOGIN])?,
    }
    match (read(proxy)?, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, USER_AND_PASSWORD], Some(login)) => log_in(proxy, login)?,
        ([VERSION, _], login) => return Err(not_let_in(login.is_some())),
        _ => return Err(no_answer_of_a_proxy()),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match target.ip() {
        IpAddr::V4(address) => request.extend([IPV4].into_iter().chain(address.octets())),
        IpAddr::V6(address) => request.extend([IPV6].into_iter().chain(address.octets())),
    }
    request.extend(target.port().to_be_bytes());
    proxy.write_all(&request)?;
    let address = match read(proxy)? {
        [VERSION, 0, _, IPV4] => 4,
        [VERSION, 0, _, IPV6] => 16,
        [VERSION, 0, _, NAME] => usize::from(read::<1>(proxy)?[0]),
        [VERSION, code, ..] if code != 0 => return Err(not_connected(target, meaning(code))),
        _ => return Err(no_answer_of_a_proxy()),
    };
    // Where the proxy connects from is of no interest, but it is in the way.
    let port = 2;
    proxy.read_exact(&mut vec![0; address + port])
}

fn log_in(proxy: &mut (impl Read + Write), Login { user, password }: &Login) -> io::Result<()> {
    let mut request = vec![1];
    for text in [user.as_str(), password.expose_secret()] {
        request.push(u8::try_from(text.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?);
        request.extend(text.as_bytes());
    }
    proxy.write_all(&request)?;
    match read(proxy)? {
        [_, 0] => Ok(()),
        _ => Err(not_let_in(true)),
    }
}

fn read<const N: usize>(proxy: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    proxy.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn meaning(code: u8) -> &'static str {
    match code {
        2 => "its rules forbid it",
        3 => "the network cannot be reached",
        4 => "the host cannot be reached",
        5 => "the server refuses connections",
        6 => "the host is too far away",
        8 => "it does not know such addresses",
        _ => "it failed",
    }
}
