//! The `packed-refs` file.

use std::collections::BTreeMap;

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

/// A reference in `packed-refs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedRef {
    pub(super) id: ObjectId,
    /// What an annotated tag leads to.
    pub(super) peeled: Option<ObjectId>,
}

/// The content of `packed-refs`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PackedRefs {
    /// By name, as bytes: whatever somebody else put there is carried along.
    pub(super) refs: BTreeMap<Vec<u8>, PackedRef>,
    /// Whether every tag has its peeled id; older gits wrote some only.
    pub(super) fully_peeled: bool,
}

impl PackedRefs {
    /// Reads the file's text.
    pub(super) fn parse(text: &[u8], format: ObjectFormat) -> Result<Self> {
        let mut packed = PackedRefs { refs: BTreeMap::new(), fully_peeled: text.is_empty() };
        let mut last: Option<&[u8]> = None;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(header) = line.strip_prefix(b"# pack-refs with:") {
                packed.fully_peeled = header.split(|byte| *byte == b' ').any(|word| word == b"fully-peeled");
            } else if line.starts_with(b"#") {
                continue;
            } else if let Some(hex) = line.strip_prefix(b"^") {
                let entry = last.take().and_then(|name| packed.refs.get_mut(name));
                entry.ok_or_else(|| corrupt("a peeled id follows no reference"))?.peeled = Some(id(hex, format)?);
            } else {
                let space = line.iter().position(|byte| *byte == b' ').ok_or_else(|| corrupt("a line has no name"))?;
                let name = &line[space + 1..];
                packed.refs.insert(name.to_owned(), PackedRef { id: id(&line[..space], format)?, peeled: None });
                last = Some(name);
            }
        }
        Ok(packed)
    }

    /// Returns the file's text. Every tag must have its peeled id.
    pub(super) fn to_text(&self) -> Vec<u8> {
        // Git insists on the blank at the end of the header.
        let mut text = b"# pack-refs with: peeled fully-peeled sorted \n".to_vec();
        for (name, entry) in &self.refs {
            text.extend_from_slice(format!("{} ", entry.id).as_bytes());
            text.extend_from_slice(name);
            text.push(b'\n');
            if let Some(peeled) = entry.peeled {
                text.extend_from_slice(format!("^{peeled}\n").as_bytes());
            }
        }
        text
    }
}

fn id(hex: &[u8], format: ObjectFormat) -> Result<ObjectId> {
    match ObjectId::from_hex(hex) {
        Ok(id) if id.format() == format => Ok(id),
        _ => Err(corrupt("something is no id")),
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("packed-refs cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nonsense_is_refused() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let text = format!("# pack-refs with: peeled fully-peeled sorted \n{a} refs/heads/x\n{b} refs/tags/v\n^{a}\n");
        let packed = PackedRefs::parse(text.as_bytes(), ObjectFormat::Sha1).unwrap();
        assert!(packed.fully_peeled);
        assert_eq!(packed.to_text(), text.as_bytes());
        for bad in
            [format!("^{a}\n"), "x\n".into(), format!("{a}\n"), format!("{a} r\n^{a}\n^{a}\n"), "ab refs/x\n".into()]
        {
            let error = PackedRefs::parse(bad.as_bytes(), ObjectFormat::Sha1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
        }
        assert!(PackedRefs::parse(text.as_bytes(), ObjectFormat::Sha256).is_err());
    }

    #[test]
    fn a_file_of_an_older_git_is_not_fully_peeled() {
        let text = format!("# pack-refs with: peeled \n{} refs/heads/x\n", "a".repeat(40));
        assert!(!PackedRefs::parse(text.as_bytes(), ObjectFormat::Sha1).unwrap().fully_peeled);
    }
}
