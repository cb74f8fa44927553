//! As much of HTTP/1.1 as git clients speak.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request without its body.
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HashMap<String, String>,
}

/// Reads a request; `None` if the client has no more.
pub(super) fn read_request(
    reader: &mut BufReader<TcpStream>,
    mut connection: &TcpStream,
) -> io::Result<Option<(Head, Vec<u8>)>> {
    let line = line(reader)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut head = Head { method: method.to_owned(), target: target.to_owned(), headers: HashMap::new() };
    loop {
        let line = self::line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        head.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if head.headers.get("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    if head.headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        body = read_chunks(reader)?;
    } else if let Some(length) = head.headers.get("content-length").and_then(|length| length.parse().ok()) {
        reader.take(length).read_to_end(&mut body)?;
    }
    Ok(Some((head, body)))
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let size = line_of_size(reader)?;
        reader.by_ref().take(size).read_to_end(&mut content)?;
        line(reader)?;
        if size == 0 {
            return Ok(content);
        }
    }
}

/// Returns how long the content of a response in chunks is.
pub(super) fn content_length(mut response: &[u8]) -> usize {
    while line(&mut response).is_ok_and(|line| !line.is_empty()) {}
    read_chunks(&mut response).map_or(0, |content| content.len())
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn line_of_size(reader: &mut impl BufRead) -> io::Result<u64> {
    let line = line(reader)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(size, 16).map_err(io::Error::other)
}

/// Writes a response whose body is known.
pub(super) fn write_whole(
    mut connection: &TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Told\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection.write_all(&[head.as_bytes(), body].concat())
}

/// Writes a response in chunks, and no more than `limit` bytes of its body; tells whether that was all.
pub(super) fn write_chunked(
    connection: &mut dyn Write,
    head: &str,
    body: &mut dyn Read,
    limit: Option<usize>,
) -> io::Result<bool> {
    connection.write_all(head.as_bytes())?;
    let mut left = limit.unwrap_or(usize::MAX);
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let want = buffer.len().min(left);
        if want == 0 {
            return Ok(false);
        }
        let read = body.read(&mut buffer[..want])?;
        if read == 0 {
            connection.write_all(b"0\r\n\r\n")?;
            return Ok(true);
        }
        left -= read;
        let chunk = [format!("{read:x}\r\n").as_bytes(), &buffer[..read], b"\r\n"].concat();
        connection.write_all(&chunk)?;
    }
}
