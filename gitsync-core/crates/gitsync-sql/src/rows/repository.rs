//! Rows of repositories.

use gitsync_core::Result;
use gitsync_core::model::{Depth, Layout, OrganisationId, RefName, Repository, RepositoryId, SourceType};
use gitsync_core::plan::RefPattern;
use gitsync_core::source::CredentialRevision;
use gitsync_core::state::RepositoryStatus;

use super::{ErrorColumns, micros, read_before, read_error, text, write_before, write_error};
use crate::schema::repository::{
    ARCHIVED_ERROR_KIND, ARCHIVED_ERROR_MESSAGE, ARCHIVED_STATUS, BASELINE_DIGEST, CREATED_AT, DEFAULT_BRANCH,
    DELETED_AT, DEPTH, DESCRIPTION, ERROR_KIND, ERROR_MESSAGE, EXCLUDE_REFS, FAILURES, FENCE, ID, IS_PUBLIC,
    LAST_CHANGED_AT, LAST_COMMIT, LAST_SYNCED_AT, LAYOUT, NAME, NAME_FOLDED, NEXT_SYNC_AT, ORGANISATION, OWNER,
    POLICY_DIGEST, PUSH_TARGETS, RECORDED_REFS, RECORDING, REFUSED_CREDENTIALS, SHRANK_AT, SIZE_BYTES, SOURCE,
    SOURCE_TYPE, STATUS, STORAGE, SYNC_INTERVAL, TOTAL_COMMITS, UPDATED_AT, VERSION,
};
use crate::statement::Record;
use crate::{Row, Value};

const ERROR: ErrorColumns = (ERROR_KIND, ERROR_MESSAGE);
const ARCHIVED_ERROR: ErrorColumns = (ARCHIVED_ERROR_KIND, ARCHIVED_ERROR_MESSAGE);

/// Returns the row of a repository but for its id and the digests, which are not part of the model.
pub(crate) fn record(repository: &Repository) -> Record {
    let patterns: Vec<_> = repository.exclude_refs.iter().map(RefPattern::as_str).collect();
    let branch = repository.default_branch.as_ref().map(RefName::as_bytes);
    let mut record: Record = vec![
        (ORGANISATION, repository.organisation.0.into()),
        (NAME, repository.name.as_str().into()),
        (NAME_FOLDED, repository.name.folded().into()),
        (DESCRIPTION, text(&repository.description).into()),
        (OWNER, text(&repository.owner).into()),
        (IS_PUBLIC, repository.is_public.into()),
        (LAYOUT, repository.layout.as_str().into()),
        (SOURCE, repository.source.as_ref().map(ToString::to_string).into()),
        (SOURCE_TYPE, repository.source_type.as_str().into()),
        (STORAGE, repository.storage.as_str().into()),
        // One to a line: a pattern holds no control characters.
        (EXCLUDE_REFS, patterns.join("\n").into()),
        (DEPTH, repository.depth.map(|depth| i64::from(depth.get().get())).into()),
        (SYNC_INTERVAL, repository.sync_interval.map_or(Value::Int(None), micros)),
        (STATUS, repository.status.as_str().into()),
    ];
    write_error(&mut record, ERROR, repository.error.as_ref());
    write_before(&mut record, ARCHIVED_STATUS, ARCHIVED_ERROR, repository.before_archive.as_ref());
    record.extend([
        (DEFAULT_BRANCH, branch.into()),
        (LAST_COMMIT, repository.last_commit.into()),
        (TOTAL_COMMITS, repository.total_commits.into()),
        (RECORDED_REFS, repository.recorded_refs.into()),
        (SIZE_BYTES, repository.size_bytes.into()),
        (LAST_SYNCED_AT, repository.last_synced_at.into()),
        (LAST_CHANGED_AT, repository.last_changed_at.into()),
        (NEXT_SYNC_AT, repository.next_sync_at.into()),
        (SHRANK_AT, repository.shrank_at.into()),
        refused_record(repository),
        (FAILURES, repository.failures.into()),
        (PUSH_TARGETS, repository.push_targets.into()),
        (FENCE, repository.fence.into()),
        (RECORDING, repository.recording.into()),
        (VERSION, repository.version.into()),
        (CREATED_AT, repository.created_at.into()),
        (UPDATED_AT, repository.updated_at.into()),
        (DELETED_AT, repository.deleted_at.into()),
    ]);
    record
}

pub(crate) fn read(row: &mut Row) -> Result<Repository> {
    let error = read_error(row, ERROR)?;
    let before_archive = read_before(row, ARCHIVED_STATUS, ARCHIVED_ERROR)?;
    let patterns = |lines: &str| lines.lines().map(RefPattern::new).collect::<Result<Vec<_>>>();
    Ok(Repository {
        id: RepositoryId(row.number(ID)?),
        organisation: OrganisationId(row.number(ORGANISATION)?),
        name: row.parsed(NAME, str::parse)?,
        description: row.text(DESCRIPTION)?,
        owner: row.text(OWNER)?,
        is_public: row.boolean(IS_PUBLIC)?,
        layout: row.named(LAYOUT, Layout::from_name)?,
        source: row.opt_parsed(SOURCE, str::parse)?,
        source_type: row.named(SOURCE_TYPE, SourceType::from_name)?,
        storage: row.parsed(STORAGE, str::parse)?,
        exclude_refs: row.parsed(EXCLUDE_REFS, patterns)?,
        depth: row.opt_int(DEPTH)?.map(Depth::new).transpose()?,
        sync_interval: row.opt_duration(SYNC_INTERVAL)?,
        status: row.named(STATUS, RepositoryStatus::from_name)?,
        error,
        before_archive,
        default_branch: super::recorded_ref::opt_name(row, DEFAULT_BRANCH)?,
        last_commit: row.opt_object_id(LAST_COMMIT)?,
        total_commits: row.int(TOTAL_COMMITS)?,
        recorded_refs: row.int(RECORDED_REFS)?,
        size_bytes: row.int(SIZE_BYTES)?,
        last_synced_at: row.opt_timestamp(LAST_SYNCED_AT)?,
        last_changed_at: row.opt_timestamp(LAST_CHANGED_AT)?,
        next_sync_at: row.opt_timestamp(NEXT_SYNC_AT)?,
        shrank_at: row.opt_timestamp(SHRANK_AT)?,
        refused_credentials: row.opt_number(REFUSED_CREDENTIALS)?.map(CredentialRevision::new),
        failures: row.number(FAILURES)?,
        push_targets: row.number(PUSH_TARGETS)?,
        fence: row.int(FENCE)?,
        recording: row.opt_int(RECORDING)?,
        version: row.int(VERSION)?,
        created_at: row.timestamp(CREATED_AT)?,
        updated_at: row.timestamp(UPDATED_AT)?,
        deleted_at: row.opt_timestamp(DELETED_AT)?,
    })
}

/// What the last recording ended with: the digest of the references, and that of the policy.
pub(crate) type Digests = (Option<[u8; 32]>, Option<[u8; 32]>);

pub(crate) fn read_digests(row: &mut Row) -> Result<Digests> {
    // A digest of another length would only cost a look at everything, so it counts as none.
    let mut digest =
        |column| -> Result<Option<[u8; 32]>> { Ok(row.opt_bytes(column)?.and_then(|bytes| bytes.try_into().ok())) };
    Ok((digest(BASELINE_DIGEST)?, digest(POLICY_DIGEST)?))
}

pub(crate) fn digests_record((baseline, policy): Digests) -> Record {
    vec![(BASELINE_DIGEST, baseline.into()), (POLICY_DIGEST, policy.into())]
}

/// Returns the columns that schedule a repository.
pub(crate) fn due_record(repository: &Repository) -> Record {
    vec![(NEXT_SYNC_AT, repository.next_sync_at.into()), refused_record(repository)]
}

fn refused_record(repository: &Repository) -> (&'static str, Value) {
    (REFUSED_CREDENTIALS, repository.refused_credentials.map(|revision| i64::from(revision.number())).into())
}
