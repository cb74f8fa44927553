//! Where repositories are pushed to.

use sea_query::{ForeignKey, Index, TableCreateStatement};

use super::{int, opt_bytes, opt_int, opt_text, repository, text};
use crate::Dialect;

super::names!("push_target" {
    REPOSITORY = "repository_id",
    URL = "url",
    ADDED_AT = "added_at",
    HAS = "has_digest",
    PUSHED_AT = "pushed_at",
    UPDATED = "updated",
    DELETED = "deleted",
    OBJECTS = "objects",
    BYTES = "bytes",
    ERROR_KIND = "error_kind",
    ERROR_MESSAGE = "error_message",
    FAILURES = "failures",
    RETRY_AT = "retry_at",
});

/// Adds the table, and to repositories how many rows of it are theirs: a sync of one without any does not look.
pub(crate) fn add_push_targets(dialect: Dialect) -> Vec<String> {
    let number = match dialect {
        Dialect::Sqlite => "integer",
        Dialect::Postgres => "bigint",
    };
    let count = format!(r#"ALTER TABLE "repository" ADD COLUMN "push_targets" {number} NOT NULL DEFAULT 0"#);
    vec![dialect.table(&table()), count]
}

fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(int(REPOSITORY))
        .col(text(URL))
        .col(int(ADDED_AT))
        .col(opt_bytes(HAS))
        .col(opt_int(PUSHED_AT))
        .col(int(UPDATED))
        .col(int(DELETED))
        .col(int(OBJECTS))
        .col(int(BYTES))
        .col(opt_text(ERROR_KIND))
        .col(opt_text(ERROR_MESSAGE))
        .col(int(FAILURES))
        .col(opt_int(RETRY_AT))
        .primary_key(Index::create().col(REPOSITORY).col(URL))
        .foreign_key(
            ForeignKey::create()
                .name("push_target_of_repository")
                .from(TABLE, REPOSITORY)
                .to(repository::TABLE, repository::ID),
        )
        .to_owned()
}
