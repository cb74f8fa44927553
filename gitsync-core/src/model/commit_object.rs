//! Commits as they are stored: bytes to be decoded, whatever their state.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

use super::commit::{Commit, MAX_MESSAGE_BYTES, MAX_SIGNATURE_FIELD_BYTES, Signature};
use super::object_id::ObjectId;

/// The content of a commit object, read as git reads it.
///
/// Nothing here fails: what is missing is empty, a broken date is 0, one beyond 64 bits the nearest that fits. All
/// engines decode through it, so they record the same.
///
/// ```
/// use gitsync_core::model::{CommitObject, ObjectId};
///
/// let content = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor Ada <a@x> 5 +0130\n\nHello\n";
/// let commit = CommitObject::new(content).decode(ObjectId::Sha1([7; 20]));
/// assert_eq!((commit.author.name.as_str(), commit.author.seconds, commit.author.offset_minutes), ("Ada", 5, 90));
/// assert_eq!(commit.message, "Hello\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CommitObject<'a>(&'a [u8]);

impl<'a> CommitObject<'a> {
    /// Takes the content of an object, without git's type and length in front.
    pub fn new(content: &'a [u8]) -> Self {
        CommitObject(content)
    }

    /// Decodes the commit that has this id.
    pub fn decode(self, id: ObjectId) -> Commit {
        let (header, message) = split_header(self.0);
        let (mut author, mut committer, mut label) = (None, None, None);
        for line in header.split(|byte| *byte == b'\n') {
            // Of several authors the last one counts, as in `git log`.
            if let Some(rest) = line.strip_prefix(b"author ") {
                author = Some(rest);
            } else if let Some(rest) = line.strip_prefix(b"committer ") {
                committer = Some(rest);
            } else if let Some(rest) = line.strip_prefix(b"encoding ") {
                label = label.or(Some(rest));
            }
        }
        let encoding = encoding_of(label);
        let person = |line: Option<&[u8]>| line.map_or_else(Signature::default, |line| signature(line, encoding));
        let (message, message_cut) = cut(text(message, encoding, MAX_MESSAGE_BYTES), MAX_MESSAGE_BYTES);
        Commit {
            id,
            parents: self.parents().filter(|parent| parent.format() == id.format()).collect(),
            author: person(author),
            committer: person(committer),
            message,
            message_cut,
        }
    }

    /// Returns the tree, if the first line names one.
    pub fn tree(self) -> Option<ObjectId> {
        let line = self.0.split(|byte| *byte == b'\n').next()?;
        ObjectId::from_hex(line.strip_prefix(b"tree ")?).ok()
    }

    /// Returns the parents: the `parent` lines that follow the first line directly. Later ones are none, as in git.
    pub fn parents(self) -> impl Iterator<Item = ObjectId> + 'a {
        let lines = self.0.split(|byte| *byte == b'\n').skip(1);
        lines.map_while(|line| ObjectId::from_hex(line.strip_prefix(b"parent ")?).ok())
    }

    /// Returns the committer's date in seconds, 0 if there is none.
    pub fn committer_date(self) -> i64 {
        let header = self.0.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
        let line = header.filter_map(|line| line.strip_prefix(b"committer ")).last();
        line.map_or(0, |line| date(line).0)
    }
}

fn split_header(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, b""),
    }
}

/// Understands `Name <email> seconds zone` as git does: the first `<`, the `>` after it, the date after the last `>`.
fn signature(line: &[u8], encoding: &'static Encoding) -> Signature {
    let (name, email) = match line.iter().position(|byte| *byte == b'<') {
        None => (line, &b""[..]),
        Some(open) => {
            let rest = &line[open + 1..];
            let close = rest.iter().position(|byte| *byte == b'>').unwrap_or(rest.len());
            (&line[..open], &rest[..close])
        }
    };
    let field =
        |bytes: &[u8]| cut(text(bytes.trim_ascii(), encoding, MAX_SIGNATURE_FIELD_BYTES), MAX_SIGNATURE_FIELD_BYTES).0;
    let (seconds, offset_minutes) = date(line);
    Signature { name: field(name), email: field(email), seconds, offset_minutes }
}

fn date(line: &[u8]) -> (i64, i32) {
    let tail = line.iter().rposition(|byte| *byte == b'>').map_or(&b""[..], |at| &line[at + 1..]);
    let mut words = tail.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    (words.next().map_or(0, seconds), words.next().map_or(0, offset))
}

fn seconds(word: &[u8]) -> i64 {
    let (sign, digits) = match word.strip_prefix(b"-") {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(sign * i64::from(digit - b'0')))
}

fn offset(word: &[u8]) -> i32 {
    let (sign, digits) = match word.split_first() {
        Some((b'+', digits)) => (1, digits),
        Some((b'-', digits)) => (-1, digits),
        _ => return 0,
    };
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    sign * (number / 100 * 60 + number % 100)
}

/// Returns the encoding that a commit says it has; UTF-8 if it says nothing or nothing sensible.
fn encoding_of(label: Option<&[u8]>) -> &'static Encoding {
    let Some(label) = label else { return UTF_8 };
    // Names that git's iconv knows and the web does not.
    let label: &[u8] = match label.trim_ascii().to_ascii_lowercase().as_slice() {
        b"latin-1" => b"latin1",
        b"cp932" => b"shift_jis",
        b"cp936" => b"gbk",
        b"cp949" => b"euc-kr",
        b"cp950" => b"big5",
        b"eucjp" => b"euc-jp",
        b"euckr" => b"euc-kr",
        _ => label,
    };
    match Encoding::for_label(label) {
        // The header is ASCII, so the commit cannot be UTF-16; the replacement encoding would lose everything.
        Some(encoding) if encoding != UTF_16LE && encoding != UTF_16BE && encoding != REPLACEMENT => encoding,
        _ => UTF_8,
    }
}

/// Decodes what may be needed of `bytes` to fill `max` bytes, and a little more if there is more.
fn text<'a>(bytes: &'a [u8], encoding: &'static Encoding, max: usize) -> Cow<'a, str> {
    // No encoding in use spends more than four bytes on one byte of UTF-8, but for escapes that lead nowhere.
    let bytes = &bytes[..bytes.len().min(4 * max + 4)];
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    // Databases do not take NUL in text.
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

/// Cuts `text` to at most `max` bytes at the end of a character; tells whether that took anything away.
fn cut(text: Cow<'_, str>, max: usize) -> (String, bool) {
    let mut text = text.into_owned();
    if text.len() <= max {
        return (text, false);
    }
    text.truncate(text.floor_char_boundary(max));
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(data: &[u8]) -> Commit {
        CommitObject::new(data).decode(ObjectId::Sha1([1; 20]))
    }

    #[test]
    fn encodings_are_honoured_and_unknown_ones_read_as_utf_8() {
        let latin =
            commit(b"tree x\nauthor J\xfcrgen <j@x> 1 +0100\ncommitter a <b> 2 -0130\nencoding ISO-8859-1\n\n\xe4\n");
        assert_eq!((latin.author.name.as_str(), latin.message.as_str()), ("Jürgen", "ä\n"));
        assert_eq!((latin.author.offset_minutes, latin.committer.offset_minutes), (60, -90));
        for label in ["utf-16", "klingon", "iso-2022-kr"] {
            assert_eq!(commit(format!("tree x\nencoding {label}\n\nä").as_bytes()).message, "ä", "{label}");
        }
        assert_eq!(commit(b"tree x\n\na\xffb").message, "a\u{fffd}b");
    }

    #[test]
    fn long_fields_are_cut_at_a_character_and_nul_is_replaced() {
        let long = "é".repeat(MAX_MESSAGE_BYTES);
        let cut = commit(format!("tree x\nauthor a{long} <{long}> 1 +0000\n\nx{long}").as_bytes());
        assert_eq!(cut.author.name.len(), MAX_SIGNATURE_FIELD_BYTES - 1);
        assert_eq!(cut.author.email.len(), MAX_SIGNATURE_FIELD_BYTES);
        assert_eq!((cut.message.len(), cut.message_cut), (MAX_MESSAGE_BYTES - 1, true));
        let nul = commit(b"tree x\nauthor a\0b <c> 1 +0000\n\nd\0");
        assert_eq!((nul.author.name.as_str(), nul.message.as_str()), ("a\u{fffd}b", "d\u{fffd}"));
        assert!(!nul.message_cut);
        assert!(!commit(format!("tree x\n\n{}", "a".repeat(MAX_MESSAGE_BYTES)).as_bytes()).message_cut);
    }

    #[test]
    fn anything_at_all_is_decoded() {
        for data in [
            &b""[..],
            b"\n",
            b"\n\n",
            b"author",
            b"author ",
            b"author <",
            b"author >",
            b"tree x\nparent y\n",
            b"author a <b> - +",
        ] {
            assert_eq!(commit(data).author.seconds, 0);
        }
        let far =
            commit(b"tree x\nauthor a <b> 99999999999999999999 +9999999\ncommitter a <b> -99999999999999999999 x\n\n");
        assert_eq!((far.author.seconds, far.committer.seconds), (i64::MAX, i64::MIN));
        assert_eq!((far.author.offset_minutes, far.committer.offset_minutes), (0, 0));
    }
}
