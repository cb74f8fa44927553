//! Rows of commits.

use gitsync_core::model::{Commit, ObjectId, RepositoryId, Signature};
use gitsync_core::{Error, ErrorKind, Result};

use super::text;
use crate::schema::commit::{
    AUTHOR_EMAIL, AUTHOR_NAME, AUTHOR_OFFSET, AUTHOR_SECONDS, COMMITTER_EMAIL, COMMITTER_NAME, COMMITTER_OFFSET,
    COMMITTER_SECONDS, ID, MESSAGE, MESSAGE_CUT, ORPHANED_AT, PARENTS, RECORDED_BY, REPOSITORY,
};
use crate::statement::Record;
use crate::{Row, Value};

/// Returns the row of a commit that the task with a fence sees.
pub(crate) fn record(repository: RepositoryId, fence: i64, commit: &Commit) -> Record {
    let parents = commit.parents.iter().flat_map(|parent| parent.as_bytes().iter().copied()).collect::<Vec<u8>>();
    let (author, committer) = (&commit.author, &commit.committer);
    vec![
        (REPOSITORY, repository.0.into()),
        (ID, commit.id.into()),
        (PARENTS, parents.into()),
        (AUTHOR_NAME, text(&author.name).into()),
        (AUTHOR_EMAIL, text(&author.email).into()),
        (AUTHOR_SECONDS, author.seconds.into()),
        (AUTHOR_OFFSET, author.offset_minutes.into()),
        (COMMITTER_NAME, text(&committer.name).into()),
        (COMMITTER_EMAIL, text(&committer.email).into()),
        (COMMITTER_SECONDS, committer.seconds.into()),
        (COMMITTER_OFFSET, committer.offset_minutes.into()),
        (MESSAGE, text(&commit.message).into()),
        (MESSAGE_CUT, commit.message_cut.into()),
        (RECORDED_BY, fence.into()),
        (ORPHANED_AT, Value::Int(None)),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<Commit> {
    let id = row.object_id(ID)?;
    let parents = row.bytes(PARENTS)?;
    Ok(Commit {
        id,
        parents: split(&parents, id)?,
        author: Signature {
            name: row.text(AUTHOR_NAME)?,
            email: row.text(AUTHOR_EMAIL)?,
            seconds: row.int(AUTHOR_SECONDS)?,
            offset_minutes: row.number(AUTHOR_OFFSET)?,
        },
        committer: Signature {
            name: row.text(COMMITTER_NAME)?,
            email: row.text(COMMITTER_EMAIL)?,
            seconds: row.int(COMMITTER_SECONDS)?,
            offset_minutes: row.number(COMMITTER_OFFSET)?,
        },
        message: row.text(MESSAGE)?,
        message_cut: row.boolean(MESSAGE_CUT)?,
    })
}

/// Takes the ids of parents apart; they have the length of the commit's own.
fn split(parents: &[u8], id: ObjectId) -> Result<Vec<ObjectId>> {
    let chunks = parents.chunks_exact(id.format().id_len());
    if !chunks.remainder().is_empty() {
        return Err(Error::new(ErrorKind::Corrupt, "the parents of a recorded commit are not ids").with("commit", id));
    }
    chunks.map(ObjectId::from_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_taken_apart_by_the_length_of_the_commits_id() {
        let (sha1, sha256) = (ObjectId::Sha1([1; 20]), ObjectId::Sha256([2; 32]));
        assert_eq!(split(&[1; 40], sha1).unwrap(), [sha1, sha1]);
        assert_eq!(split(&[2; 64], sha256).unwrap(), [sha256, sha256]);
        assert_eq!(split(&[], sha1).unwrap(), []);
        assert_eq!(split(&[1; 21], sha1).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
