//! The streams of a connection, as an engine's library is given them.

use std::io::{self, Cursor, Read, Write};

use super::call::Call;

/// How a server that was asked for version 1 by name begins. Libraries know only servers that were not asked.
const VERSION_LINE: &[u8] = b"000eversion 1\n";

/// A stream whose errors are kept aside, and of which is counted what comes in.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    call: Call,
}

impl<S> Guarded<S> {
    /// Watches a stream of a call.
    pub fn new(stream: S, call: &Call) -> Self {
        Guarded { stream, call: call.clone() }
    }
}

impl<S: Read> Read for Guarded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer).map_err(|error| self.call.failure.keep_io(error))?;
        let counted = self.call.prelude.count(read);
        counted.map_err(|error| self.call.failure.keep(error.with("source", &self.call.source)))?;
        Ok(read)
    }
}

impl<S: Write> Write for Guarded<S> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer).map_err(|error| self.call.failure.keep_io(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(|error| self.call.failure.keep_io(error))
    }
}

/// A stream without the line that names version 1, should it begin with that.
#[derive(Debug)]
pub struct Unversioned<S> {
    stream: S,
    begun: Option<Cursor<Vec<u8>>>,
}

impl<S> Unversioned<S> {
    /// Looks at the beginning of a stream.
    pub fn new(stream: S) -> Self {
        Unversioned { stream, begun: None }
    }
}

impl<S: Read> Read for Unversioned<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = match &mut self.begun {
            Some(begun) => begun,
            None => {
                let mut start = Vec::with_capacity(VERSION_LINE.len());
                // No more than what is certainly sent: the line differs from all others in its first bytes.
                while start.len() < VERSION_LINE.len() && VERSION_LINE.starts_with(&start) {
                    let mut byte = [0];
                    match self.stream.read(&mut byte) {
                        Ok(0) => break,
                        Ok(_) => start.push(byte[0]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                if start == VERSION_LINE {
                    start.clear();
                }
                self.begun.insert(Cursor::new(start))
            }
        };
        match begun.read(buffer)? {
            0 => self.stream.read(buffer),
            read => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_the_version_is_taken_off() {
        for (sent, seen) in [
            ("000eversion 1\n00fa..", "00fa.."),
            ("000eversion 2\n0010", "000eversion 2\n0010"),
            ("000eversion 1", "000eversion 1"),
            ("0000", "0000"),
            ("", ""),
            ("000eversion 1\n", ""),
        ] {
            let mut text = String::new();
            Unversioned::new(sent.as_bytes()).read_to_string(&mut text).unwrap();
            assert_eq!(text, seen);
        }
    }
}
