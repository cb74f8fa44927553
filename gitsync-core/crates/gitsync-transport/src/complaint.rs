//! What a program writes to its standard error, in bounds.

use std::collections::VecDeque;
use std::io::{self, Read};

/// How much of the beginning is kept.
const MAX_HEAD: usize = 8 * 1024;
/// How much of the end is kept: it says what was fatal.
const MAX_TAIL: usize = 4 * 1024;

/// Reads a stream to its end, and returns its beginning and its end. The rest is read so that the program does not block.
pub(crate) fn read(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut tail = VecDeque::<u8>::new();
    let mut left_out = false;
    let mut buffer = [0; 4096];
    loop {
        let count = match stream.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // An incomplete text is better than none.
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let (first, rest) = buffer[..count].split_at(count.min(MAX_HEAD - head.len()));
        head.extend_from_slice(first);
        tail.extend(rest);
        let surplus = tail.len().saturating_sub(MAX_TAIL);
        left_out |= surplus > 0;
        tail.drain(..surplus);
    }
    if left_out {
        head.extend_from_slice("\n…\n".as_bytes());
    }
    head.extend(tail);
    String::from_utf8_lossy(&head).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        assert_eq!(read(&mut "short\n".as_bytes()), "short\n");
        let fits = "x".repeat(MAX_HEAD + MAX_TAIL);
        assert_eq!(read(&mut fits.as_bytes()), fits);
        let long = format!("first\n{}last\n", "x".repeat(1 << 20));
        let kept = read(&mut long.as_bytes());
        assert!(kept.starts_with("first\nx") && kept.ends_with("xlast\n") && kept.contains("x\n…\nx"));
        assert_eq!(kept.len(), MAX_HEAD + MAX_TAIL + "\n…\n".len());
    }
}
