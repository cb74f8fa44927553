//! Storages: the disks that repositories are on, and which machine serves them.

use sea_query::TableCreateStatement;

use super::{boolean, int, text};
use crate::Dialect;

super::names!("storage" {
    NAME = "name",
    HOST = "host",
    IS_SHARED = "is_shared",
    FREE_BYTES = "free_bytes",
    SEEN_AT = "seen_at",
    DISK = "disk",
    SERVED_UNTIL = "served_until",
});

/// Repositories do not refer to it: a row is there once a worker has seen the disk.
pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(text(NAME).primary_key())
        // The machine whose workers serve it. A disk that is declared shared is served by any.
        .col(text(HOST))
        .col(boolean(IS_SHARED))
        .col(int(FREE_BYTES))
        .col(int(SEEN_AT))
        .to_owned()
}

/// Adds which disk it is, which is unknown until that is reported, and until when its machine serves it, which was a minute.
pub(crate) fn tell_disks_apart(dialect: Dialect) -> Vec<String> {
    let number = match dialect {
        Dialect::Sqlite => "integer",
        Dialect::Postgres => "bigint",
    };
    vec![
        r#"ALTER TABLE "storage" ADD COLUMN "disk" text"#.to_owned(),
        format!(r#"ALTER TABLE "storage" ADD COLUMN "served_until" {number} NOT NULL DEFAULT 0"#),
        r#"UPDATE "storage" SET "served_until" = "seen_at" + 60000000"#.to_owned(),
    ]
}
