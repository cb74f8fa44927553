//! Values that the cases are made of.

use std::fmt::Debug;

use crate::error::{ErrorKind, Result};
use crate::model::{
    Branch, Commit, MAX_PAGE_ITEMS, ObjectId, PageRequest, RecordedRef, RefName, RefUpdate, Repository, Signature,
    StoredError, SyncTask,
};
use crate::queue::NewJob;
use crate::rules::Completion;

/// All that can be seen of a repository.
#[derive(Debug, PartialEq)]
pub(super) struct Books {
    pub(super) repository: Repository,
    pub(super) tasks: Vec<SyncTask>,
    pub(super) baseline: Vec<RecordedRef>,
    pub(super) branches: Vec<Branch>,
    pub(super) commits: Vec<ObjectId>,
    pub(super) all_commits: Vec<ObjectId>,
    pub(super) log: Vec<RefUpdate>,
    pub(super) outbox: Vec<NewJob>,
}

/// Returns why a call was refused.
#[track_caller]
pub(super) fn refusal<T: Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("the call is refused").kind()
}

/// Asks for the first page, as long as can be.
pub(super) fn everything() -> PageRequest {
    PageRequest::new(MAX_PAGE_ITEMS, None).expect("the limit is allowed")
}

/// Returns an id of a commit; each number has its own.
pub(super) fn id(number: u8) -> ObjectId {
    ObjectId::Sha1([number; 20])
}

/// Returns commit `number`, committed at `seconds`.
pub(super) fn commit(number: u8, seconds: i64) -> Commit {
    let author = Signature {
        name: format!("author {number}"),
        email: format!("a{number}@example"),
        seconds: seconds - 1,
        offset_minutes: -90,
    };
    let committer = Signature { name: "committer".into(), email: "c@example".into(), seconds, offset_minutes: 60 };
    Commit {
        id: id(number),
        parents: vec![id(number.wrapping_sub(1))],
        author,
        committer,
        message: format!("commit {number}\n"),
        message_cut: false,
    }
}

/// Returns a branch at commit `number`.
pub(super) fn branch(short: &str, number: u8) -> RecordedRef {
    let name = RefName::branch(short).expect("a branch name");
    RecordedRef { name, id: id(number), commit: Some(id(number)) }
}

/// Returns what a sync knows of a repository with this many commits and references; `HEAD` points to `main`.
pub(in crate::testing) fn completion(total_commits: i64, recorded_refs: i64) -> Completion {
    Completion {
        source: None,
        default_branch: Some(RefName::branch("main").expect("a branch name")),
        last_commit: Some(id(1)),
        total_commits,
        recorded_refs,
        size_bytes: 1000,
        commits_synced: 1,
        changed: true,
        synced: true,
    }
}

/// Returns an error to be stored.
pub(super) fn error(kind: ErrorKind) -> StoredError {
    StoredError { kind, message: format!("it was {kind}") }
}
