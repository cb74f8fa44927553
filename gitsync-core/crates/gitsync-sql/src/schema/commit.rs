//! Commits.

use sea_query::{Expr, Index, IndexCreateStatement, TableCreateStatement};

use super::{boolean, bytes, int, opt_int, text};
use crate::Dialect;

// `commit` is a word of SQL.
super::names!("git_commit" {
    REPOSITORY = "repository_id",
    ID = "object_id",
    PARENTS = "parents",
    AUTHOR_NAME = "author_name",
    AUTHOR_EMAIL = "author_email",
    AUTHOR_SECONDS = "author_seconds",
    AUTHOR_OFFSET = "author_offset",
    COMMITTER_NAME = "committer_name",
    COMMITTER_EMAIL = "committer_email",
    COMMITTER_SECONDS = "committer_seconds",
    COMMITTER_OFFSET = "committer_offset",
    MESSAGE = "message",
    MESSAGE_CUT = "message_cut",
    RECORDED_BY = "recorded_by_fence",
    ORPHANED_AT = "orphaned_at",
});

/// There is no foreign key to the repository: it would be looked up for each of very many rows, and a task writes them only
/// after its fence was compared with the repository's.
pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(int(REPOSITORY))
        .col(bytes(ID))
        // The ids of all parents, one after the other: they have the length of the commit's own.
        .col(bytes(PARENTS))
        .col(text(AUTHOR_NAME))
        .col(text(AUTHOR_EMAIL))
        .col(int(AUTHOR_SECONDS))
        .col(int(AUTHOR_OFFSET))
        .col(text(COMMITTER_NAME))
        .col(text(COMMITTER_EMAIL))
        .col(int(COMMITTER_SECONDS))
        .col(int(COMMITTER_OFFSET))
        .col(text(MESSAGE))
        .col(boolean(MESSAGE_CUT))
        // The fence of the task that recorded the commit last: what a full walk did not record is orphaned.
        .col(int(RECORDED_BY))
        .col(opt_int(ORPHANED_AT))
        .primary_key(Index::create().col(REPOSITORY).col(ID))
        .to_owned()
}

/// Both lists end with the mark of orphans, so that those are passed over without a look at their rows. The last index leads
/// to what a full walk did not record; it grows at its end, so writing commits costs little more for it.
pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name, columns: &[&'static str]| super::index(TABLE, name, columns);
    vec![
        index("git_commit_by_time", &[REPOSITORY, COMMITTER_SECONDS, ID, ORPHANED_AT]),
        index("git_commit_by_author", &[REPOSITORY, AUTHOR_EMAIL, COMMITTER_SECONDS, ID, ORPHANED_AT]),
        super::partial(TABLE, "git_commit_by_fence", &[REPOSITORY, RECORDED_BY], reached()),
    ]
}

/// Holds for a commit that a branch or tag reaches.
pub(crate) fn reached() -> Expr {
    super::literal(format!("{ORPHANED_AT} IS NULL"))
}

/// Holds for a commit that a branch or tag reaches, among those that are found by their ids. It says what [`reached`] says, so
/// that no index seems to serve it: Postgres, while it knows little of the table, would rather read the whole of one than look
/// the ids up.
pub(crate) fn still_reached() -> Expr {
    super::literal(format!("CASE WHEN {ORPHANED_AT} IS NULL THEN TRUE ELSE FALSE END"))
}

/// Holds for a commit that a branch or tag reaches, for the full walk and what it leaves over. It says what [`reached`] says,
/// so that the index which has this condition serves nothing else: Postgres, while it knows little of the table, takes it for
/// all that asks for the commits of a repository, and goes through the whole of it.
pub(crate) fn reached_until_now() -> Expr {
    super::literal(format!("CASE WHEN {ORPHANED_AT} IS NULL THEN 1 ELSE 0 END = 1"))
}

/// Puts the index that leads to what a full walk did not record in the place of the one that served too much.
pub(crate) fn narrow_index_by_fence(dialect: Dialect) -> Vec<String> {
    let index = super::partial(TABLE, "git_commit_unrecorded", &[REPOSITORY, RECORDED_BY], reached_until_now());
    vec![r#"DROP INDEX "git_commit_by_fence""#.to_owned(), dialect.index(&index)]
}
