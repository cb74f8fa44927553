//! Repositories.

use gitsync_core::model::{Layout, SourceType};
use gitsync_core::state::RepositoryStatus;
use sea_query::{Expr, ForeignKey, IndexCreateStatement, TableCreateStatement};

use super::{boolean, int, one_of, opt_bytes, opt_int, opt_text, organisation, text};
use crate::Dialect;

super::names!("repository" {
    ID = "id",
    ORGANISATION = "organisation_id",
    NAME = "name",
    NAME_FOLDED = "name_folded",
    DESCRIPTION = "description",
    OWNER = "owner",
    IS_PUBLIC = "is_public",
    LAYOUT = "layout",
    SOURCE = "source",
    SOURCE_TYPE = "source_type",
    STORAGE = "storage",
    EXCLUDE_REFS = "exclude_refs",
    DEPTH = "depth",
    SYNC_INTERVAL = "sync_interval",
    STATUS = "status",
    ERROR_KIND = "error_kind",
    ERROR_MESSAGE = "error_message",
    ARCHIVED_STATUS = "archived_status",
    ARCHIVED_ERROR_KIND = "archived_error_kind",
    ARCHIVED_ERROR_MESSAGE = "archived_error_message",
    DEFAULT_BRANCH = "default_branch",
    LAST_COMMIT = "last_commit",
    TOTAL_COMMITS = "total_commits",
    RECORDED_REFS = "recorded_refs",
    SIZE_BYTES = "size_bytes",
    LAST_SYNCED_AT = "last_synced_at",
    LAST_CHANGED_AT = "last_changed_at",
    NEXT_SYNC_AT = "next_sync_at",
    SHRANK_AT = "shrank_at",
    REFUSED_CREDENTIALS = "refused_credentials",
    FAILURES = "failures",
    FENCE = "fence",
    RECORDING = "recording",
    BASELINE_DIGEST = "baseline_digest",
    POLICY_DIGEST = "policy_digest",
    VERSION = "version",
    CREATED_AT = "created_at",
    UPDATED_AT = "updated_at",
    DELETED_AT = "deleted_at",
    PUSH_TARGETS = "push_targets",
});

pub(crate) fn table() -> TableCreateStatement {
    let statuses = || RepositoryStatus::ALL.iter().map(|status| status.as_str());
    super::table(TABLE)
        .col(super::generated_id(ID))
        .col(int(ORGANISATION))
        .col(text(NAME))
        .col(text(NAME_FOLDED))
        .col(text(DESCRIPTION))
        .col(text(OWNER))
        .col(boolean(IS_PUBLIC))
        .col(one_of(text(LAYOUT), Layout::ALL.iter().map(|layout| layout.as_str())))
        .col(opt_text(SOURCE))
        .col(one_of(text(SOURCE_TYPE), SourceType::ALL.iter().map(|kind| kind.as_str())))
        .col(text(STORAGE))
        .col(text(EXCLUDE_REFS))
        // How many generations of commits are fetched; missing for all.
        .col(opt_int(DEPTH))
        .col(opt_int(SYNC_INTERVAL))
        .col(one_of(text(STATUS), statuses()))
        .col(opt_text(ERROR_KIND))
        .col(opt_text(ERROR_MESSAGE))
        .col(one_of(opt_text(ARCHIVED_STATUS), statuses()))
        .col(opt_text(ARCHIVED_ERROR_KIND))
        .col(opt_text(ARCHIVED_ERROR_MESSAGE))
        .col(opt_bytes(DEFAULT_BRANCH))
        .col(opt_bytes(LAST_COMMIT))
        .col(int(TOTAL_COMMITS))
        .col(int(RECORDED_REFS))
        .col(int(SIZE_BYTES))
        .col(opt_int(LAST_SYNCED_AT))
        .col(opt_int(LAST_CHANGED_AT))
        .col(opt_int(NEXT_SYNC_AT))
        .col(opt_int(SHRANK_AT))
        // Nothing ever set it under this name; see `name_refused_credentials`.
        .col(opt_int("credentials_refused_at"))
        .col(int(FAILURES))
        .col(int(FENCE))
        .col(opt_int(RECORDING))
        .col(opt_bytes(BASELINE_DIGEST))
        .col(opt_bytes(POLICY_DIGEST))
        .col(int(VERSION))
        .col(int(CREATED_AT))
        .col(int(UPDATED_AT))
        .col(opt_int(DELETED_AT))
        .foreign_key(
            ForeignKey::create()
                .name("repository_of_organisation")
                .from(TABLE, ORGANISATION)
                .to(organisation::TABLE, organisation::ID),
        )
        .to_owned()
}

/// Gives the column that was meant for the credentials that were refused the name of what it holds: which those are.
pub(crate) fn name_refused_credentials(_: Dialect) -> Vec<String> {
    vec![r#"ALTER TABLE "repository" RENAME COLUMN "credentials_refused_at" TO "refused_credentials""#.to_owned()]
}

pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name, columns: &[&'static str]| super::index(TABLE, name, columns);
    let partial = |name, columns: &[&'static str], condition| super::partial(TABLE, name, columns, condition);
    vec![
        index("repository_name", &[ORGANISATION, NAME_FOLDED]).unique().to_owned(),
        partial("repository_list", &[ID], alive()),
        partial("repository_by_organisation", &[ORGANISATION, ID], alive()),
        partial("repository_by_status", &[STATUS, ID], alive()),
        partial("repository_by_organisation_status", &[ORGANISATION, STATUS, ID], alive()),
        partial("repository_due", &[NEXT_SYNC_AT, ID], scheduled()),
    ]
}

/// Holds for a repository that is not being deleted.
pub(crate) fn alive() -> Expr {
    super::literal(format!("{DELETED_AT} IS NULL"))
}

/// Holds for a repository that has a due time and is neither archived nor being deleted.
pub(crate) fn scheduled() -> Expr {
    let archived = RepositoryStatus::Archived.as_str();
    super::literal(format!("{NEXT_SYNC_AT} IS NOT NULL AND {DELETED_AT} IS NULL AND {STATUS} <> '{archived}'"))
}
