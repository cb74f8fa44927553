//! Branches and tags as the last finished task recorded them.

use gitsync_core::model::RefName;
use sea_query::{ForeignKey, Index, TableCreateStatement};
use sha2::{Digest, Sha256};

use super::{bytes, int, opt_bytes, repository};

super::names!("recorded_ref" {
    REPOSITORY = "repository_id",
    NAME_PREFIX = "name_prefix",
    NAME_DIGEST = "name_digest",
    NAME = "name",
    ID = "object_id",
    COMMIT = "commit_id",
});

/// The most bytes of a name that go into an index: a key of Postgres must fit into a third of its page.
const MAX_PREFIX: usize = 1024;

/// Returns what stands for a name in the index: its beginning, which sorts as names do, and a digest that tells long ones
/// apart.
pub(crate) fn key(name: &RefName) -> (Vec<u8>, Vec<u8>) {
    match name.as_bytes().split_at_checked(MAX_PREFIX) {
        Some((prefix, rest)) if !rest.is_empty() => (prefix.to_vec(), Sha256::digest(name.as_bytes()).to_vec()),
        _ => (name.as_bytes().to_vec(), Vec::new()),
    }
}

/// Returns the beginning of a name that goes into the index.
pub(crate) fn prefix(name: &[u8]) -> &[u8] {
    &name[..name.len().min(MAX_PREFIX)]
}

pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(int(REPOSITORY))
        .col(bytes(NAME_PREFIX))
        .col(bytes(NAME_DIGEST))
        .col(bytes(NAME))
        .col(bytes(ID))
        .col(opt_bytes(COMMIT))
        .primary_key(Index::create().col(REPOSITORY).col(NAME_PREFIX).col(NAME_DIGEST))
        .foreign_key(
            ForeignKey::create()
                .name("recorded_ref_of_repository")
                .from(TABLE, REPOSITORY)
                .to(repository::TABLE, repository::ID),
        )
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_with_the_same_beginning_have_different_keys() {
        let name = |length: usize| RefName::branch("a".repeat(length)).unwrap();
        assert_eq!(key(&name(10)), (name(10).as_bytes().to_vec(), Vec::new()));
        let ((prefix, digest), (other_prefix, other_digest)) = (key(&name(2000)), key(&name(2001)));
        assert_eq!((prefix.len(), digest.len()), (MAX_PREFIX, 32));
        assert_eq!(prefix, other_prefix);
        assert_ne!(digest, other_digest);
        let longest_whole = name(MAX_PREFIX - "refs/heads/".len());
        assert!(key(&longest_whole).1.is_empty());
    }
}
