//! Storages: the disks that repositories are on, and which machine serves them.

use sea_query::TableCreateStatement;

use super::{boolean, int, text};

super::names!("storage" {
    NAME = "name",
    HOST = "host",
    IS_SHARED = "is_shared",
    FREE_BYTES = "free_bytes",
    SEEN_AT = "seen_at",
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
