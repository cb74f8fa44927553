//! What is refused changes nothing, and what happens at once happens one after the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::harness::{StoreHarness, branch, commit, completion, error, id, refusal};
use crate::error::ErrorKind;
use crate::model::{TaskKind, TaskParameters};
use crate::plan::{Movement, MovementKind};
use crate::rules::{Disposition, Outcome};
use crate::state::TaskStatus;
use crate::store::{Recording, StartedTask, Work};

/// A recording belongs to a completion that knows its repository; with anything else the whole end is refused.
pub async fn a_refused_end_changes_nothing(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[commit(2, 2)]).await;
    h.request(repository, TaskKind::Sync).await;
    let before = h.books(repository).await;
    let recording = everything_changes();
    let next = Some(h.in_seconds(5));
    let outcomes = [
        Outcome::Completed(None),
        Outcome::Failed(error(ErrorKind::Timeout)),
        Outcome::Cancelled,
        Outcome::Retry { error: error(ErrorKind::Timeout), at: h.in_seconds(9), spent: true },
        Outcome::Released,
    ];
    for outcome in outcomes {
        let refused = h.store.finish_task(work.work, &outcome, Some(&recording), next).await;
        assert_eq!(refusal(refused), ErrorKind::InvalidInput, "{outcome:?}");
        assert_eq!(h.books(repository).await, before, "{outcome:?}");
    }
    h.complete(&work, completion(2, 1), Some(&recording)).await;
    assert_eq!(h.baseline(repository).await, [branch("new", 2)]);
}

/// A worker that was outrun changes neither its task nor its follow-up, nor anything that it recorded.
pub async fn the_end_of_a_lost_attempt_changes_nothing(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let lost = h.running(repository, TaskKind::Sync).await;
    h.request(repository, TaskKind::Sync).await;
    let current = h.start(lost.task.id).await;
    let before = h.books(repository).await;
    let outcomes = [
        (Outcome::Completed(Some(Box::new(completion(9, 9)))), Some(everything_changes())),
        (Outcome::Completed(None), None),
        (Outcome::Failed(error(ErrorKind::Timeout)), None),
        (Outcome::Cancelled, None),
        (Outcome::Retry { error: error(ErrorKind::Timeout), at: h.in_seconds(9), spent: true }, None),
        (Outcome::Released, None),
    ];
    for (outcome, recording) in outcomes {
        let refused = h.store.finish_task(lost.work, &outcome, recording.as_ref(), None).await;
        assert_eq!(refusal(refused), ErrorKind::LeaseLost, "{outcome:?}");
        assert_eq!(h.books(repository).await, before, "{outcome:?}");
    }
    let work = Work { fence: current.work.fence + 1, ..current.work };
    assert_eq!(refusal(h.store.begin_recording(work).await), ErrorKind::LeaseLost, "nor does one from the future");
    assert_eq!(h.books(repository).await, before);
}

/// An attempt ends once: the second end, even if it is the same, is refused whole.
pub async fn an_attempt_ends_once(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let outcomes = [
        Outcome::Completed(Some(Box::new(completion(2, 1)))),
        Outcome::Retry { error: error(ErrorKind::Timeout), at: h.in_seconds(9), spent: true },
    ];
    for outcome in outcomes {
        let work = h.running(repository, TaskKind::Sync).await;
        h.finish(&work, outcome.clone()).await;
        let before = h.books(repository).await;
        let again = h.store.finish_task(work.work, &outcome, None, Some(h.in_seconds(5))).await;
        assert_eq!(refusal(again), ErrorKind::Conflict, "{outcome:?}");
        assert_eq!(h.books(repository).await, before, "{outcome:?}");
    }
}

/// What a repository's state does not allow is not begun.
pub async fn a_refused_request_changes_nothing(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.running(repository, TaskKind::Sync).await;
    h.request(repository, TaskKind::Sync).await;
    let before = h.books(repository).await;
    let source = TaskParameters { source: "https://elsewhere.example/r".parse().ok(), ..TaskParameters::default() };
    let refused = h.try_request(repository, TaskKind::Migrate, source).await;
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    let refused = h.try_request(repository, TaskKind::Initialize, TaskParameters::default()).await;
    assert_eq!(refusal(refused), ErrorKind::Conflict);
    assert_eq!(h.books(repository).await, before);
}

/// A repository has one waiting task and one running task, however many ask at once.
pub async fn at_most_one_task_waits_and_one_runs(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let h = Arc::new(h);
    let ask = |number: u8| {
        let h = Arc::clone(&h);
        let kind = if number.is_multiple_of(2) { TaskKind::Sync } else { TaskKind::Maintain };
        tokio::spawn(async move { h.request(repository, kind).await })
    };
    let asked: Vec<_> = (0..50).map(ask).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.expect("a request does not panic"));
    }
    let created = answers.iter().filter(|answer| answer.disposition == Disposition::Created).count();
    assert_eq!(created, 1);
    let waiting = answers[0].task.id;
    assert!(answers.iter().all(|answer| answer.task.id == waiting && answer.task.held));
    let unfinished: Vec<_> = h.tasks(repository).await.into_iter().filter(|task| !task.status.is_terminal()).collect();
    let summary: Vec<_> = unfinished.iter().map(|task| (task.id, task.kind, task.status)).collect();
    let running = (work.task.id, TaskKind::Sync, TaskStatus::Running);
    assert_eq!(summary, [(waiting, TaskKind::Sync, TaskStatus::Pending), running]);
}

/// A thousand callers ask for a sync of one repository while one runs: all get the one that waits behind it.
pub async fn a_thousand_syncs_at_once_make_one_task(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let running = h.running(repository, TaskKind::Sync).await.task.id;
    let h = Arc::new(h);
    let ask = |_| {
        let h = Arc::clone(&h);
        tokio::spawn(async move {
            loop {
                match h.try_request(repository, TaskKind::Sync, TaskParameters::default()).await {
                    // With so many there is a queue, and whoever waited too long in it asks again.
                    Err(error) if error.kind() == ErrorKind::Unavailable => {}
                    answer => return answer.expect("a sync can be requested"),
                }
            }
        })
    };
    let asked: Vec<_> = (0..1_000).map(ask).collect();
    let (mut ids, mut created) = (BTreeSet::new(), 0);
    for answer in asked {
        let answer = answer.await.expect("a request does not panic");
        created += usize::from(answer.disposition == Disposition::Created);
        ids.insert(answer.task.id);
    }
    let unfinished: Vec<_> = h.tasks(repository).await.into_iter().filter(|task| !task.status.is_terminal()).collect();
    let [waiting, still_running] = unfinished.as_slice() else { panic!("{unfinished:?}") };
    assert_eq!((still_running.id, still_running.status), (running, TaskStatus::Running));
    assert_eq!((waiting.status, waiting.held, created), (TaskStatus::Pending, true, 1));
    assert_eq!(ids, BTreeSet::from([waiting.id]));
}

/// Of workers that start the same task at once, each has a fence of its own, and only the last may write.
pub async fn starts_at_once_do_not_share_a_fence(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task.id;
    let h = Arc::new(h);
    let start = |epoch| {
        let h = Arc::clone(&h);
        tokio::spawn(async move { h.store.start_task(task, epoch, 1).await })
    };
    let starts: Vec<_> = (1..=8).map(start).collect();
    let mut rights = Vec::new();
    for start in starts {
        match start.await.expect("a start does not panic") {
            Ok(StartedTask::Run(started)) => rights.push(started.work),
            Ok(StartedTask::AlreadyFinished) => panic!("the task has not ended"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::LeaseLost),
        }
    }
    rights.sort_unstable_by_key(|work| work.fence);
    let fences: Vec<_> = rights.iter().map(|work| work.fence - repository.fence).collect();
    assert_eq!(fences, (1..).take(rights.len()).collect::<Vec<i64>>());
    let last = rights.pop().expect("the highest epoch is always started");
    h.store.begin_recording(last).await.expect("the last start may write");
    for outrun in rights {
        assert_eq!(refusal(h.store.begin_recording(outrun).await), ErrorKind::LeaseLost);
    }
    assert_eq!(h.task(task).await.epoch, 8);
}

/// Returns a recording that would leave nothing as it was.
fn everything_changes() -> Recording {
    let (new, main) = (branch("new", 2), branch("main", 1).name);
    let movement = Movement { name: new.name.clone(), old: None, new: Some(id(2)), kind: MovementKind::Created };
    Recording {
        changed: vec![new],
        removed: vec![main],
        movements: vec![movement],
        cloned_refs: None,
        baseline_digest: Some([1; 32]),
        policy_digest: Some([2; 32]),
        full: true,
    }
}
