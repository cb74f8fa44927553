//! What calls carry: small sets of ids and names, so that calls meet.

use std::time::Duration;

use gitsync_core::model::{
    Commit, Depth, ObjectId, Progress, PushCounts, RecordedRef, RefName, Signature, StoredError, TaskKind,
    TaskParameters,
};
use gitsync_core::plan::{Movement, MovementKind, RefPattern};
use gitsync_core::queue::{HostReport, JobOutcome};
use gitsync_core::rules::{Completion, Outcome, PushOutcome};
use gitsync_core::source::{CredentialRevision, SourceUrl};
use gitsync_core::store::{Recording, RepositoryPatch};
use gitsync_core::{ErrorKind, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What is migrated from.
const OTHER_SOURCE: &str = "https://other.example/r";

/// Returns what a repository is created from, by the number of the host.
pub(crate) fn source_url(host: u8) -> String {
    format!("https://h{host}.example/r")
}

/// A repository to create.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) is_upper: bool,
    pub(crate) source: Option<u8>,
    pub(crate) is_mirror: bool,
    pub(crate) is_public: bool,
    pub(crate) storage: u8,
}

/// How an attempt ends, for the store and for the queue.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Completed(Option<Box<Completion>>),
    Failed(StoredError),
    Refused { error: StoredError, credentials: u32 },
    Cancelled,
    Retry { error: StoredError, seconds: u64, is_spent: bool },
    Released,
}

impl End {
    pub(crate) fn of_task(&self, now: Timestamp) -> Outcome {
        match self {
            End::Completed(books) => Outcome::Completed(books.clone()),
            End::Failed(error) => Outcome::Failed(error.clone()),
            End::Refused { error, credentials } => {
                Outcome::Refused { error: error.clone(), credentials: CredentialRevision::new(*credentials) }
            }
            End::Cancelled => Outcome::Cancelled,
            End::Retry { error, seconds, is_spent, .. } => {
                Outcome::Retry { error: error.clone(), at: later(now, *seconds), spent: *is_spent }
            }
            End::Released => Outcome::Released,
        }
    }

    pub(crate) fn of_job(&self, now: Timestamp) -> JobOutcome {
        match self {
            End::Completed(_) | End::Failed(_) | End::Refused { .. } | End::Cancelled => JobOutcome::Done,
            End::Retry { seconds, is_spent, .. } => JobOutcome::Retry { at: later(now, *seconds), spent: *is_spent },
            End::Released => JobOutcome::Released,
        }
    }
}

pub(crate) fn later(now: Timestamp, seconds: u64) -> Timestamp {
    now.after(Duration::from_secs(seconds))
}

pub(crate) fn wish() -> impl Strategy<Value = Wish> {
    let is_odd = prop::bool::weighted(0.05);
    (any::<bool>(), option::weighted(0.7, 0..3_u8), any::<bool>(), is_odd, any::<bool>(), 0..2_u8).prop_map(
        |(is_upper, source, is_mirror, is_odd, is_public, storage)| {
            // A mirror without a source is refused.
            let is_mirror = is_mirror && (source.is_some() || is_odd);
            Wish { is_upper, source, is_mirror, is_public, storage }
        },
    )
}

/// Deletions are rare, else there is soon nothing left.
pub(crate) fn kind() -> impl Strategy<Value = TaskKind> {
    let all = select(TaskKind::ALL.to_vec());
    prop_oneof![3 => Just(TaskKind::Sync), 3 => all].prop_flat_map(|kind| match kind {
        TaskKind::Delete => prop_oneof![Just(TaskKind::Delete), Just(TaskKind::Sync)].boxed(),
        kind => Just(kind).boxed(),
    })
}

pub(crate) fn parameters() -> impl Strategy<Value = TaskParameters> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (prop::bool::weighted(0.25), flags).prop_map(|(has_source, (force, accept_shrink, verify))| {
        let source = has_source.then(|| OTHER_SOURCE.parse().expect("a source"));
        TaskParameters { source, force, accept_shrink, verify }
    })
}

pub(crate) fn patch() -> impl Strategy<Value = RepositoryPatch> {
    let interval = option::of(option::of(Just(Duration::from_secs(90))));
    let depth = option::of(option::of((1..4_i64).prop_map(|depth| Depth::new(depth).expect("a depth"))));
    (any::<bool>(), option::of(any::<bool>()), interval, any::<bool>(), depth).prop_map(
        |(is_described, is_public, sync_interval, excludes, depth)| {
            let patterns = || ["refs/pull/*", "refs/x"].map(|text| RefPattern::new(text).expect("a pattern"));
            RepositoryPatch {
                description: is_described.then(|| "other".to_owned()),
                owner: None,
                is_public,
                sync_interval,
                exclude_refs: excludes.then(|| patterns().to_vec()),
                depth,
            }
        },
    )
}

pub(crate) fn progress() -> impl Strategy<Value = Progress> {
    (0..9_u64).prop_map(|objects| Progress { phase: "fetching".into(), objects, bytes: 1, commits: 2 })
}

/// Targets are few, so that one that is pushed to was often added.
pub(crate) fn push_target() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0..4_u8, 1 => 4..10_u8]
}

/// Returns where a target is. The first two are also sources: of a migrate, and of repositories.
pub(crate) fn push_url(number: u8) -> SourceUrl {
    let url = match number {
        0 => OTHER_SOURCE.to_owned(),
        1 => source_url(0),
        number => format!("https://t{number}.example/r"),
    };
    url.parse().expect("a target")
}

pub(crate) fn push_outcome() -> impl Strategy<Value = PushOutcome> {
    let counts = (0..3_u64).prop_map(|updated| PushCounts { updated, ..PushCounts::default() });
    let pushed =
        (0..3_u8, counts.clone()).prop_map(|(digest, counts)| PushOutcome::Pushed { digest: [digest; 32], counts });
    let failed = (option::of((0..90_u64).prop_map(Duration::from_secs)), option::of(counts));
    let error = StoredError { kind: ErrorKind::Unauthenticated, message: "no entry".into() };
    let failed =
        failed.prop_map(move |(retry_after, counts)| PushOutcome::Failed { error: error.clone(), retry_after, counts });
    prop_oneof![pushed, failed]
}

pub(crate) fn object_id() -> impl Strategy<Value = ObjectId> {
    (0..20_u8).prop_map(id)
}

fn id(number: u8) -> ObjectId {
    ObjectId::Sha1([number; 20])
}

/// All of a commit follows from its id: it never changes. No two have the same second.
pub(crate) fn commit() -> impl Strategy<Value = Commit> {
    (0..20_u8).prop_map(|number| {
        let seconds = i64::from(number) - 10;
        let who = Signature { name: "n".into(), email: format!("e{}", seconds % 3), seconds, offset_minutes: -90 };
        Commit {
            id: id(number),
            parents: (0..number % 3).map(|place| id((7 * number + place) % 20)).collect(),
            author: who.clone(),
            committer: who,
            message: "m\u{1f600}".into(),
            message_cut: false,
        }
    })
}

fn ref_name() -> impl Strategy<Value = RefName> {
    (any::<bool>(), prop::bool::weighted(0.3), 0..6_u8).prop_map(|(is_branch, is_long, number)| {
        let kind = if is_branch { "heads" } else { "tags" };
        let long = if is_long { "x".repeat(1_500) } else { String::new() };
        RefName::new(format!("refs/{kind}/{long}{number}")).expect("a name")
    })
}

fn recording() -> impl Strategy<Value = Recording> {
    let changed = (ref_name(), object_id(), option::of(object_id()));
    let changed = changed.prop_map(|(name, id, commit)| RecordedRef { name, id, commit });
    let movement = (ref_name(), object_id(), option::of(object_id()), select(MovementKind::ALL.to_vec()));
    let movement = movement.prop_map(|(name, old, new, kind)| Movement { name, old: Some(old), new, kind });
    let lists = (vec(changed, 0..4), vec(ref_name(), 0..2), vec(movement, 0..3));
    (lists, prop::bool::weighted(0.2), any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |((changed, removed, movements), is_clone, has_baseline, full)| Recording {
            changed,
            removed,
            movements,
            cloned_refs: is_clone.then_some(9),
            baseline_digest: has_baseline.then_some([1; 32]),
            policy_digest: Some([2; 32]),
            full,
        },
    )
}

pub(crate) fn end() -> impl Strategy<Value = End> {
    let kinds = select(vec![ErrorKind::Timeout, ErrorKind::UpstreamShrank, ErrorKind::Corrupt]);
    let error = kinds.prop_map(|kind| StoredError { kind, message: "why".into() }).boxed();
    let retry = (error.clone(), 0..90_u64, any::<bool>());
    prop_oneof![
        4 => completion().prop_map(|books| End::Completed(Some(Box::new(books)))),
        1 => Just(End::Completed(None)),
        1 => error.prop_map(End::Failed),
        1 => (0..3_u32).prop_map(|credentials| {
            let error = StoredError { kind: ErrorKind::Unauthenticated, message: "why".into() };
            End::Refused { error, credentials }
        }),
        1 => Just(End::Cancelled),
        1 => Just(End::Released),
        2 => retry.prop_map(|(error, seconds, is_spent)| End::Retry { error, seconds, is_spent }),
    ]
}

/// What an end says of the host. Hosts are few, so that they are slowed down and left alone.
pub(crate) fn report() -> impl Strategy<Value = HostReport> {
    let busy = option::of(0..60_u64).prop_map(|pause| HostReport::Busy { pause: pause.map(Duration::from_secs) });
    prop_oneof![
        1 => Just(HostReport::Nothing),
        3 => Just(HostReport::Answered),
        1 => busy,
        4 => Just(HostReport::Away),
    ]
}

/// An end with what it recorded, which seldom does not go with it.
pub(crate) fn end_of_task() -> impl Strategy<Value = (End, Option<Recording>)> {
    (end(), option::weighted(0.7, recording()), prop::bool::weighted(0.05)).prop_map(|(end, recording, is_odd)| {
        let fits = matches!(end, End::Completed(Some(_)));
        (end, recording.filter(|_| fits || is_odd))
    })
}

fn completion() -> impl Strategy<Value = Completion> {
    (ref_name(), object_id(), 0..100_i64, 0..3_i64, any::<bool>(), any::<bool>()).prop_map(
        |(branch, tip, total_commits, recorded_refs, synced, changed)| Completion {
            default_branch: Some(branch),
            last_commit: Some(tip),
            total_commits,
            recorded_refs,
            synced,
            changed,
            ..Completion::default()
        },
    )
}
