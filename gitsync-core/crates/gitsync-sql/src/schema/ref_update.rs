//! The log of movements of branches and tags.

use gitsync_core::plan::MovementKind;
use sea_query::{ForeignKey, IndexCreateStatement, TableCreateStatement};

use super::{bytes, int, one_of, opt_bytes, opt_int, repository, text};

super::names!("ref_update" {
    ID = "id",
    REPOSITORY = "repository_id",
    TASK = "task_id",
    AT = "recorded_at",
    KIND = "kind",
    NAME = "name",
    OLD = "old_id",
    NEW = "new_id",
    REFS = "refs",
});

/// The kind of the one entry that stands for all branches and tags of a first clone.
pub(crate) const CLONED: &str = "cloned";

pub(crate) fn table() -> TableCreateStatement {
    let kinds = MovementKind::ALL.iter().map(|kind| kind.as_str()).chain([CLONED]);
    super::table(TABLE)
        .col(super::generated_id(ID))
        .col(int(REPOSITORY))
        .col(bytes(TASK))
        .col(int(AT))
        .col(one_of(text(KIND), kinds))
        .col(opt_bytes(NAME))
        .col(opt_bytes(OLD))
        .col(opt_bytes(NEW))
        .col(opt_int(REFS))
        .foreign_key(
            ForeignKey::create()
                .name("ref_update_of_repository")
                .from(TABLE, REPOSITORY)
                .to(repository::TABLE, repository::ID),
        )
        .to_owned()
}

pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        super::index(TABLE, "ref_update_by_repository", &[REPOSITORY, ID]),
        super::index(TABLE, "ref_update_by_time", &[AT]),
    ]
}
