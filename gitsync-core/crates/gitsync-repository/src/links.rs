//! Which objects an object names.

use std::sync::LazyLock;

use gitsync_core::model::{CommitObject, ObjectFormat, ObjectId};

use crate::objects::Kind;
use crate::peel::target_of;

/// The bits of a tree entry's mode that tell its kind.
pub(crate) const KIND_OF_ENTRY: u32 = 0o170_000;

/// The kind of an entry that is another tree.
const DIRECTORY: u32 = 0o040_000;

/// The kind of an entry that is a commit of another repository: a submodule.
pub(crate) const SUBMODULE: u32 = 0o160_000;

/// The tree without entries.
const EMPTY_TREE_SHA1: &[u8] = b"4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &[u8] = b"6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

/// Calls `each` with every id that an object names and that its repository must have, and tells whether the object could be
/// understood. `each` ends it by returning false.
///
/// Submodules are left out, the parents of a commit that is `shallow`, and the empty tree: every git knows it, so some keep no
/// object of it and send none.
pub fn links(
    kind: Kind,
    data: &[u8],
    format: ObjectFormat,
    shallow: bool,
    mut each: impl FnMut(&ObjectId) -> bool,
) -> bool {
    match kind {
        Kind::Blob => true,
        Kind::Tree => entries(data, format, |id, _| each(id)),
        Kind::Commit => {
            let commit = CommitObject::new(data);
            let parents = commit.parents().filter(|_| !shallow);
            let mut named = commit.tree().into_iter().chain(parents).filter(|id| id.format() == format);
            named.all(|id| is_empty_tree(&id) || each(&id))
        }
        Kind::Tag => target_of(data).filter(|id| id.format() == format).is_none_or(|id| each(&id)),
    }
}

/// Tells whether an id is that of the tree without entries, which may be no object on disk.
pub(crate) fn is_empty_tree(id: &ObjectId) -> bool {
    static EMPTY: LazyLock<[Option<ObjectId>; 2]> =
        LazyLock::new(|| [EMPTY_TREE_SHA1, EMPTY_TREE_SHA256].map(|hex| ObjectId::from_hex(hex).ok()));
    EMPTY.contains(&Some(*id))
}

/// Calls `each` with every id that a tree names and that its repository must have, and whether it is a tree by its mode; the
/// rest is as for [`links`].
pub(crate) fn entries(data: &[u8], format: ObjectFormat, mut each: impl FnMut(&ObjectId, bool) -> bool) -> bool {
    tree_entries(data, format, |mode, _, id| {
        let kind = mode & KIND_OF_ENTRY;
        kind == SUBMODULE || is_empty_tree(id) || each(id, kind == DIRECTORY)
    })
}

/// Calls `each` with the mode, the name and the id of every entry of a tree, and tells whether the tree could be understood.
/// `each` ends it by returning false.
///
/// Old programs wrote modes in odd ways, so of a mode only its number counts.
pub(crate) fn tree_entries(
    mut data: &[u8],
    format: ObjectFormat,
    mut each: impl FnMut(u32, &[u8], &ObjectId) -> bool,
) -> bool {
    let id_len = format.id_len();
    while !data.is_empty() {
        let mut mode = 0_u32;
        let Some(space) = data.iter().position(|byte| *byte == b' ') else { return false };
        for digit in &data[..space] {
            if !matches!(digit, b'0'..=b'7') || mode > 0o777_777 {
                return false;
            }
            mode = mode * 8 + u32::from(digit - b'0');
        }
        let rest = &data[space + 1..];
        let Some(end) = rest.iter().position(|byte| *byte == 0) else { return false };
        let Some((id, next)) = rest[end + 1..].split_at_checked(id_len) else { return false };
        let Ok(id) = ObjectId::from_bytes(id) else { return false };
        if !each(mode, &rest[..end], &id) {
            return false;
        }
        data = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(tree: &[u8]) -> Option<Vec<u8>> {
        let mut first_bytes = Vec::new();
        let understood = links(Kind::Tree, tree, ObjectFormat::Sha1, false, |id| {
            first_bytes.push(id.as_bytes()[0]);
            true
        });
        understood.then_some(first_bytes)
    }

    fn entry(mode_and_name: &str, byte: u8) -> Vec<u8> {
        [mode_and_name.as_bytes(), &[0], &[byte; 20]].concat()
    }

    #[test]
    fn trees_name_all_but_submodules() {
        let entries = [entry("100644 a", 1), entry("160000 b", 2), entry("40000 c d", 3), entry("040000 e", b' ')];
        assert_eq!(named(&entries.concat()), Some(vec![1, 3, b' ']));
        assert_eq!(named(&[entry("120000 a", 1), entry("100664 \n", 0)].concat()), Some(vec![1, 0]));
        assert_eq!(named(b""), Some(vec![]));
        let empty = [&b"40000 a\0"[..], ObjectId::from_hex(EMPTY_TREE_SHA1).unwrap().as_bytes()].concat();
        assert_eq!(named(&empty), Some(vec![]));
        for bad in [&entry("100644 a", 1)[..27], b"1", b"100644 a", b"9 a\0", &entry("7777777777777777 a", 1)] {
            assert_eq!(named(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn commits_name_their_tree_and_parents_and_tags_their_object() {
        let (tree, parent) = ("1".repeat(40), "2".repeat(40));
        let commit = format!("tree {tree}\nparent {parent}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx\n");
        let of = |kind, data: &str, shallow| {
            let mut ids = Vec::new();
            assert!(links(kind, data.as_bytes(), ObjectFormat::Sha1, shallow, |id| {
                ids.push(id.to_string());
                true
            }));
            ids
        };
        assert_eq!(of(Kind::Commit, &commit, false), [tree.as_str(), &parent]);
        assert_eq!(of(Kind::Commit, &commit, true), [tree.as_str()]);
        assert_eq!(of(Kind::Tag, &format!("object {tree}\ntype commit\n"), false), [tree.as_str()]);
        assert!(of(Kind::Blob, &commit, false).is_empty());
    }
}
