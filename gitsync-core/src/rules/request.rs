//! What becomes of a request for a task.

use super::archive::check_not_deleted;
use super::push::check_source;
use super::start::status_while_running;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Layout, Progress, PushTarget, Repository, Strength, SyncTask, TaskId, TaskKind, TaskParameters};
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};

/// A request for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub kind: TaskKind,
    /// What is asked for beside that.
    pub parameters: TaskParameters,
    /// The id of the task, should a new one come of it.
    pub id: TaskId,
}

impl Request {
    /// Tells whether a source is given, which must not be a push target.
    pub fn names_source(&self) -> bool {
        self.parameters.source.is_some()
    }
}

/// The unfinished tasks of a repository: at most one of each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unfinished<'a> {
    /// The one that waits.
    pub pending: Option<&'a SyncTask>,
    /// The one that a worker is at.
    pub running: Option<&'a SyncTask>,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A new task was made.
    Created,
    /// The waiting task was changed to do what was asked for.
    Rewritten,
    /// An unfinished task does it already. If it waits for another attempt, that is due now.
    Returned,
}

/// The answer to a request: the rows to be written, and how they came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// The task that does what was asked for.
    pub task: SyncTask,
    /// How it came about.
    pub disposition: Disposition,
    /// The repository: hidden, if it is to be deleted; with its new source, if nothing was ever cloned.
    pub repository: Box<Repository>,
    /// The running task that a deletion asks to stop. Its worker learns of it from the queue, which has to be told.
    pub stopping: Option<Box<SyncTask>>,
}

/// Decides what becomes of a request. `targets` are the push targets of the repository, which only a request that
/// [names a source](Request::names_source) is compared with.
///
/// At most one task of a repository waits and one runs. Against the waiting one a weaker request, or an equal one with the
/// same parameters, changes nothing; a stronger or different one rewrites it in place. A wish to verify is added to whatever
/// waits, and stays with it. Against a running initialize,
/// migrate or delete the same request is the same task; anything else becomes one follow-up, held until the runner ends.
/// A deletion also hides the repository and asks the runner to stop.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted; [`ErrorKind::Conflict`] if its state does not allow the
/// request (archived; migrate without force, or initialize, where there is a clone); [`ErrorKind::InvalidInput`] for a
/// migrate without a source, or from a push target.
pub fn request(
    repository: &Repository,
    unfinished: Unfinished<'_>,
    targets: &[PushTarget],
    request: &Request,
    now: Timestamp,
) -> Result<Requested> {
    check_open(repository, request)?;
    check_source(targets, request)?;
    let (task, disposition) = choose_task(repository, unfinished, request, now)?;
    let mut repository = Box::new(repository.clone());
    let mut stopping = None;
    if request.kind == TaskKind::Delete {
        repository.deleted_at.get_or_insert(now);
        stopping = unfinished.running.filter(|running| running.kind != TaskKind::Delete).map(|running| {
            let asked_at = running.cancel_requested_at.or(Some(now));
            Box::new(SyncTask { cancel_requested_at: asked_at, ..running.clone() })
        });
    }
    if request.kind == TaskKind::Migrate && !has_clone(&repository) && disposition != Disposition::Returned {
        // Where nothing was ever cloned there is no other truth about the source to wait for.
        repository.source = task.parameters.source.clone().or(repository.source);
    }
    Ok(Requested { task, disposition, repository, stopping })
}

fn choose_task(
    repository: &Repository,
    unfinished: Unfinished<'_>,
    request: &Request,
    now: Timestamp,
) -> Result<(SyncTask, Disposition)> {
    if let Some(running) = unfinished.running
        && is_the_same_work(running, request)
    {
        return Ok((running.clone(), Disposition::Returned));
    }
    match unfinished.pending {
        Some(pending) if is_covered(pending, request, repository) => {
            let verify = request.parameters.verify && !pending.parameters.verify;
            let disposition = if verify { Disposition::Rewritten } else { Disposition::Returned };
            Ok((verifying(due_now(pending, now), &request.parameters), disposition))
        }
        Some(pending) => {
            check_precondition(repository, unfinished, request)?;
            Ok((rewritten(pending, request), Disposition::Rewritten))
        }
        None => {
            check_precondition(repository, unfinished, request)?;
            Ok((new_task(repository, request, unfinished.running.is_some(), now), Disposition::Created))
        }
    }
}

fn check_open(repository: &Repository, request: &Request) -> Result<()> {
    if request.kind == TaskKind::Delete {
        return Ok(());
    }
    check_not_deleted(repository)?;
    if repository.status == RepositoryStatus::Archived {
        return Err(Error::new(ErrorKind::Conflict, "the repository is archived")
            .with("repository", repository.id)
            .hint("unarchive it first"));
    }
    Ok(())
}

/// Checks what the request needs of the repository's state as it is now.
fn check_precondition(repository: &Repository, unfinished: Unfinished<'_>, request: &Request) -> Result<()> {
    let has_clone = has_clone(repository);
    let is_being_made = unfinished.running.is_some_and(|running| status_while_running(running.kind).is_some());
    match request.kind {
        TaskKind::Migrate if source_of(repository, &request.parameters).is_none() => {
            let error = Error::new(ErrorKind::InvalidInput, "a migrate needs a source").in_field("source_url");
            Err(error.hint("give one"))
        }
        TaskKind::Migrate if has_clone && !request.parameters.force => {
            Err(Error::new(ErrorKind::Conflict, "the repository has been cloned already")
                .with("repository", repository.id)
                .hint("sync it, or migrate with force to clone it anew"))
        }
        TaskKind::Initialize if has_clone || repository.status == RepositoryStatus::Active => {
            Err(Error::new(ErrorKind::Conflict, "the repository exists already").with("repository", repository.id))
        }
        TaskKind::Initialize if is_being_made => {
            Err(Error::new(ErrorKind::Conflict, "the repository is being made").with("repository", repository.id))
        }
        TaskKind::Initialize if repository.layout == Layout::Mirror => {
            Err(Error::new(ErrorKind::Conflict, "a mirror begins with a migrate").with("repository", repository.id))
        }
        _ => Ok(()),
    }
}

/// Tells whether something was ever cloned; a repository without any reference counts as not existing.
fn has_clone(repository: &Repository) -> bool {
    repository.recorded_refs > 0
}

fn source_of<'a>(repository: &'a Repository, parameters: &'a TaskParameters) -> Option<&'a SourceUrl> {
    parameters.source.as_ref().or(repository.source.as_ref())
}

/// Tells whether a running task is exactly what is asked for. A running sync never is: it may have listed upstream before
/// the change that the caller wants to see.
fn is_the_same_work(running: &SyncTask, request: &Request) -> bool {
    let verify = request.parameters.verify || running.parameters.verify;
    matches!(running.kind, TaskKind::Initialize | TaskKind::Migrate | TaskKind::Delete)
        && running.kind == request.kind
        && running.parameters == TaskParameters { verify, ..request.parameters.clone() }
        && running.cancel_requested_at.is_none()
}

/// Tells whether a waiting task does all that is asked for, but for a wish to verify, which it can be given.
pub(super) fn is_covered(pending: &SyncTask, request: &Request, repository: &Repository) -> bool {
    let asked = Strength::of(request.kind, &request.parameters);
    let waiting = Strength::of(pending.kind, &pending.parameters);
    let other_source = request.kind == TaskKind::Migrate
        && pending.kind == TaskKind::Migrate
        && source_of(repository, &request.parameters) != source_of(repository, &pending.parameters);
    let accepts_more = request.kind == TaskKind::Sync
        && pending.kind == TaskKind::Sync
        && request.parameters.accept_shrink
        && !pending.parameters.accept_shrink;
    asked <= waiting && !other_source && !accepts_more
}

/// Makes the waiting task due: whoever asks by hand does not want to wait for a retry's pause.
fn due_now(pending: &SyncTask, now: Timestamp) -> SyncTask {
    let mut task = pending.clone();
    if task.next_attempt_at.is_some_and(|at| at > now) {
        task.next_attempt_at = Some(now);
        task.enqueued_at = None;
    }
    task
}

/// Makes the task verify the repository too if that is asked for.
pub(super) fn verifying(mut task: SyncTask, asked: &TaskParameters) -> SyncTask {
    task.parameters.verify |= asked.verify;
    task
}

/// Makes the waiting task do what is asked for. It keeps its id, its place and what its repository was before it began.
pub(super) fn rewritten(pending: &SyncTask, request: &Request) -> SyncTask {
    let mut parameters = request.parameters.clone();
    // A weaker migrate from another source must not take away a force that somebody was promised.
    parameters.force |= request.kind == TaskKind::Migrate && pending.parameters.force;
    parameters.verify |= pending.parameters.verify;
    SyncTask {
        kind: request.kind,
        parameters,
        attempt: 0,
        error: None,
        next_attempt_at: None,
        enqueued_at: None,
        progress: Progress::default(),
        ..pending.clone()
    }
}

pub(super) fn new_task(repository: &Repository, request: &Request, held: bool, now: Timestamp) -> SyncTask {
    SyncTask {
        id: request.id,
        repository: repository.id,
        organisation: repository.organisation,
        kind: request.kind,
        parameters: request.parameters.clone(),
        status: TaskStatus::Pending,
        held,
        attempt: 0,
        epoch: 0,
        progress: Progress::default(),
        status_before: None,
        commits_synced: 0,
        error: None,
        next_attempt_at: None,
        cancel_requested_at: None,
        superseded_by: None,
        created_at: now,
        enqueued_at: None,
        started_at: None,
        completed_at: None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::fixtures::{NOW, repository};

    fn request(repository: &Repository, unfinished: Unfinished<'_>, asked: &Request) -> Result<Requested> {
        super::request(repository, unfinished, &[], asked, NOW)
    }

    fn empty_repository() -> Repository {
        Repository { recorded_refs: 0, status: RepositoryStatus::Pending, ..repository() }
    }

    fn ask(kind: TaskKind) -> Request {
        Request { kind, parameters: TaskParameters::default(), id: TaskId::generate() }
    }

    fn force() -> Request {
        let parameters = TaskParameters { force: true, ..TaskParameters::default() };
        Request { parameters, ..ask(TaskKind::Migrate) }
    }

    fn from(source: &str, asked: Request) -> Request {
        let parameters = TaskParameters { source: Some(source.parse().unwrap()), ..asked.parameters };
        Request { parameters, ..asked }
    }

    fn pending(asked: &Request) -> SyncTask {
        new_task(&repository(), asked, false, NOW)
    }

    fn running(asked: &Request) -> SyncTask {
        SyncTask { status: TaskStatus::Running, epoch: 1, attempt: 1, ..pending(asked) }
    }

    fn waits(task: &SyncTask) -> Unfinished<'_> {
        Unfinished { pending: Some(task), running: None }
    }

    fn runs(task: &SyncTask) -> Unfinished<'_> {
        Unfinished { pending: None, running: Some(task) }
    }

    #[test]
    fn an_idle_repository_gets_a_new_task() {
        let asked = ask(TaskKind::Sync);
        let answer = request(&repository(), Unfinished::default(), &asked).unwrap();
        assert_eq!(answer.disposition, Disposition::Created);
        assert_eq!((answer.task.id, answer.task.held, answer.task.status), (asked.id, false, TaskStatus::Pending));
    }

    #[test]
    fn weaker_and_equal_requests_return_the_waiting_task_and_stronger_ones_rewrite_it() {
        use Disposition::{Returned, Rewritten};
        let rising =
            [ask(TaskKind::Maintain), ask(TaskKind::Sync), ask(TaskKind::Migrate), force(), ask(TaskKind::Delete)];
        for (waiting_at, waiting) in rising.iter().enumerate() {
            let waiting = pending(waiting);
            for (asked_at, asked) in rising.iter().enumerate() {
                let answer = request(&empty_repository(), waits(&waiting), asked).unwrap();
                let expected = if asked_at <= waiting_at { Returned } else { Rewritten };
                assert_eq!(answer.disposition, expected, "{:?} against {:?}", asked.kind, waiting.kind);
                assert_eq!(answer.task.id, waiting.id);
                if expected == Rewritten {
                    assert_eq!((answer.task.kind, &answer.task.parameters), (asked.kind, &asked.parameters));
                } else {
                    assert_eq!(answer.task, waiting);
                }
            }
        }
    }

    #[test]
    fn a_migrate_from_elsewhere_rewrites_and_keeps_the_force() {
        let waiting = pending(&force());
        let asked = from("https://other/a", ask(TaskKind::Migrate));
        let answer = request(&empty_repository(), waits(&waiting), &asked).unwrap();
        assert_eq!(answer.disposition, Disposition::Rewritten);
        assert_eq!(answer.task.parameters.source, asked.parameters.source);
        assert!(answer.task.parameters.force);

        let same = from("https://host/a", force());
        assert_eq!(request(&empty_repository(), waits(&waiting), &same).unwrap().disposition, Disposition::Returned);
    }

    #[test]
    fn accepting_a_shrink_is_not_lost_on_a_waiting_sync() {
        let waiting = pending(&ask(TaskKind::Sync));
        let mut asked = ask(TaskKind::Sync);
        asked.parameters.accept_shrink = true;
        let answer = request(&repository(), waits(&waiting), &asked).unwrap();
        assert!(answer.task.parameters.accept_shrink);
        assert_eq!(answer.disposition, Disposition::Rewritten);
    }

    fn verify() -> Request {
        let parameters = TaskParameters { verify: true, ..TaskParameters::default() };
        Request { parameters, ..ask(TaskKind::Maintain) }
    }

    #[test]
    fn a_wish_to_verify_is_added_to_what_waits_and_stays_with_it() {
        for kind in [TaskKind::Maintain, TaskKind::Sync, TaskKind::Migrate] {
            let waiting = pending(&ask(kind));
            let answer = request(&empty_repository(), waits(&waiting), &verify()).unwrap();
            assert_eq!((answer.task.kind, answer.task.parameters.verify), (kind, true));
            assert_eq!(answer.disposition, Disposition::Rewritten);
            let again = request(&empty_repository(), waits(&answer.task), &verify()).unwrap();
            assert_eq!((again.disposition, again.task), (Disposition::Returned, answer.task));
        }
        let stronger = request(&repository(), waits(&pending(&verify())), &ask(TaskKind::Sync)).unwrap().task;
        assert_eq!((stronger.kind, stronger.parameters.verify), (TaskKind::Sync, true));
    }

    #[test]
    fn a_running_clone_that_verifies_is_the_same_work_and_one_that_does_not_is_not() {
        let mut asked = force();
        asked.parameters.verify = true;
        let [verifies, does_not] = [running(&asked), running(&force())];
        assert_eq!(request(&repository(), runs(&verifies), &force()).unwrap().task, verifies);
        let follow_up = request(&repository(), runs(&does_not), &asked).unwrap();
        assert_eq!((follow_up.disposition, follow_up.task.held), (Disposition::Created, true));
    }

    #[test]
    fn asking_again_makes_a_retry_due_now() {
        let mut waiting = pending(&ask(TaskKind::Sync));
        waiting.next_attempt_at = Some(NOW.after(Duration::from_secs(240)));
        waiting.enqueued_at = Some(NOW);
        let answer = request(&repository(), waits(&waiting), &ask(TaskKind::Sync)).unwrap();
        assert_eq!((answer.task.next_attempt_at, answer.task.enqueued_at), (Some(NOW), None));
    }

    #[test]
    fn a_rewritten_task_begins_its_attempts_anew() {
        let mut waiting = pending(&ask(TaskKind::Sync));
        (waiting.attempt, waiting.epoch, waiting.enqueued_at) = (3, 7, Some(NOW));
        let task = request(&repository(), waits(&waiting), &force()).unwrap().task;
        assert_eq!((task.attempt, task.epoch, task.enqueued_at), (0, 7, None), "but its epoch never falls");
    }

    #[test]
    fn a_running_sync_gets_one_held_follow_up_for_all_who_ask() {
        let runner = running(&ask(TaskKind::Sync));
        let first = request(&repository(), runs(&runner), &ask(TaskKind::Sync)).unwrap();
        assert_eq!((first.disposition, first.task.held), (Disposition::Created, true));
        let both = Unfinished { pending: Some(&first.task), running: Some(&runner) };
        let second = request(&repository(), both, &ask(TaskKind::Sync)).unwrap();
        assert_eq!((second.disposition, second.task.id), (Disposition::Returned, first.task.id));
    }

    #[test]
    fn a_running_migrate_is_returned_to_who_asks_for_the_same() {
        let runner = running(&force());
        assert_eq!(request(&repository(), runs(&runner), &force()).unwrap().task.id, runner.id);
        let elsewhere = from("https://other/a", force());
        let follow_up = request(&repository(), runs(&runner), &elsewhere).unwrap();
        assert_eq!((follow_up.disposition, follow_up.task.held), (Disposition::Created, true));

        let follow_up = pending(&ask(TaskKind::Sync));
        let both = Unfinished { pending: Some(&follow_up), running: Some(&runner) };
        assert_eq!(request(&repository(), both, &force()).unwrap().task.id, runner.id, "a follow-up changes nothing");

        let stopping = SyncTask { cancel_requested_at: Some(NOW), ..runner };
        let again = request(&repository(), runs(&stopping), &force()).unwrap();
        assert_eq!(again.disposition, Disposition::Created, "a task that is being cancelled will not do it");
    }

    #[test]
    fn preconditions_are_checked_at_the_request() {
        let kind = |repository: &Repository, asked: &Request| {
            request(repository, Unfinished::default(), asked).map(|answer| answer.disposition).map_err(|e| e.kind())
        };
        let archived = Repository { status: RepositoryStatus::Archived, ..repository() };
        let deleted = Repository { deleted_at: Some(NOW), ..repository() };
        let sourceless = Repository { source: None, ..empty_repository() };
        let created = Ok(Disposition::Created);
        assert_eq!(kind(&repository(), &ask(TaskKind::Migrate)), Err(ErrorKind::Conflict));
        assert_eq!(kind(&repository(), &force()), created);
        assert_eq!(kind(&empty_repository(), &ask(TaskKind::Migrate)), created);
        assert_eq!(kind(&sourceless, &ask(TaskKind::Migrate)), Err(ErrorKind::InvalidInput));
        assert_eq!(kind(&sourceless, &from("https://host/b", ask(TaskKind::Migrate))), created);
        assert_eq!(kind(&repository(), &ask(TaskKind::Initialize)), Err(ErrorKind::Conflict));
        assert_eq!(kind(&sourceless, &ask(TaskKind::Initialize)), created);
        assert_eq!(kind(&archived, &ask(TaskKind::Sync)), Err(ErrorKind::Conflict));
        assert_eq!(kind(&archived, &ask(TaskKind::Delete)), created);
        assert_eq!(kind(&deleted, &ask(TaskKind::Sync)), Err(ErrorKind::NotFound));
    }

    #[test]
    fn a_deletion_hides_the_repository_and_stops_the_runner() {
        let runner = running(&ask(TaskKind::Sync));
        let answer = request(&repository(), runs(&runner), &ask(TaskKind::Delete)).unwrap();
        assert_eq!((answer.disposition, answer.task.held), (Disposition::Created, true));
        assert_eq!(answer.repository.deleted_at, Some(NOW));
        assert_eq!(answer.stopping.unwrap().cancel_requested_at, Some(NOW));

        let deleting = running(&ask(TaskKind::Delete));
        let earlier = Repository { deleted_at: Some(Timestamp::from_secs(1)), ..repository() };
        let again = request(&earlier, runs(&deleting), &ask(TaskKind::Delete)).unwrap();
        assert_eq!((again.task.id, again.stopping), (deleting.id, None), "a deletion does not stop itself");
        assert_eq!(again.repository.deleted_at, earlier.deleted_at);
    }

    #[test]
    fn the_source_of_a_migrate_is_kept_where_nothing_was_ever_cloned() {
        let asked = from("https://other/a", ask(TaskKind::Migrate));
        let empty = request(&empty_repository(), Unfinished::default(), &asked).unwrap();
        assert_eq!(empty.repository.source, asked.parameters.source);

        let forced = from("https://other/a", force());
        let cloned = request(&repository(), Unfinished::default(), &forced).unwrap();
        assert_eq!(cloned.repository.source, repository().source, "the task's success saves it");
        let own = request(&empty_repository(), Unfinished::default(), &ask(TaskKind::Migrate)).unwrap();
        assert_eq!(own.repository.source, repository().source);
    }
}
