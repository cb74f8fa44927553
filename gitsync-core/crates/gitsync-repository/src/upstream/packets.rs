//! The lines that git's protocol consists of.

use std::io::{self, Read};

use gitsync_core::{Error, ErrorKind, Result};

use super::listing::not_understood;

/// Reads a line, without its end, into the buffer, and tells whether it was one: `false` for the mark between two parts.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is no line, [`ErrorKind::SourceUnreachable`] if the stream ends or breaks.
pub fn read_packet(reader: &mut impl Read, buffer: &mut Vec<u8>) -> Result<bool> {
    let is_line = read_data(reader, buffer)?;
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
    }
    Ok(is_line)
}

/// Like [`read_packet`], for what is no line: every byte of it counts.
///
/// # Errors
/// As [`read_packet`].
pub fn read_data(reader: &mut impl Read, buffer: &mut Vec<u8>) -> Result<bool> {
    buffer.clear();
    let mut length = [0; 4];
    reader.read_exact(&mut length).map_err(broken)?;
    let length = std::str::from_utf8(&length).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
    match length {
        Some(0) => Ok(false),
        Some(length @ 4..) => {
            buffer.resize(length - 4, 0);
            reader.read_exact(buffer).map_err(broken)?;
            Ok(true)
        }
        _ => Err(not_understood("something that is not of git's protocol")),
    }
}

/// Writes a line.
pub(crate) fn packet(line: &[u8]) -> Vec<u8> {
    let mut out = format!("{:04x}", line.len() + 5).into_bytes();
    out.extend_from_slice(line);
    out.push(b'\n');
    out
}

fn broken(error: io::Error) -> Error {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
    ours.unwrap_or_else(|| {
        Error::new(ErrorKind::SourceUnreachable, format!("the upstream's answer ended early: {error}")).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_marks_and_nonsense() {
        let mut buffer = Vec::new();
        let mut stream = &b"0007ab\n0004000a012345"[..];
        assert!(read_packet(&mut stream, &mut buffer).unwrap());
        assert_eq!(buffer, b"ab");
        assert!(read_packet(&mut stream, &mut buffer).unwrap());
        assert_eq!(buffer, b"");
        assert!(read_packet(&mut stream, &mut buffer).unwrap());
        assert_eq!(buffer, b"012345");
        assert!(!read_packet(&mut &b"0000"[..], &mut buffer).unwrap());
        for (text, kind) in [
            (&b"0001"[..], ErrorKind::Corrupt),
            (b"0003", ErrorKind::Corrupt),
            (b"<htm", ErrorKind::Corrupt),
            (b"+001", ErrorKind::Corrupt),
            (b"", ErrorKind::SourceUnreachable),
            (b"0008ab", ErrorKind::SourceUnreachable),
        ] {
            assert_eq!(read_packet(&mut &*text, &mut buffer).unwrap_err().kind(), kind, "{}", text.escape_ascii());
        }
    }
}
