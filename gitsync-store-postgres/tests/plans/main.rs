//! Each hot query is carried out by the index that was made for it and looks at a bounded number of pages, whatever Postgres
//! knows of the tables, and by a plan for its values as by one for all.
//!
//! With 20,000 jobs and repositories; `GITSYNC_PLANS_FULL=1 cargo nextest run -p gitsync-store-postgres --test plans
//! --no-capture` has 1,000,000 jobs and commits and 200,000 repositories, and shows what each query costs.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]
#![allow(clippy::print_stdout, reason = "it shows what each query costs")]

mod explain;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gitsync_core::model::{ObjectId, OrganisationId, Progress, RepositoryId, TaskKind};
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HostReport, JobEnd, JobOutcome, JobQueue, QueueLimits};
use gitsync_core::rules::{HostLesson, HostState};
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::store::{CommitFilter, RepositoryFilter, TaskFilter};
use gitsync_core::testing::ManualClock;
use gitsync_sql::Dialect::Postgres;
use gitsync_sql::Statement;
use gitsync_sql::statements::{commits, hosts, jobs, log, refs, repositories, tasks};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};
use sqlx::PgConnection;

use support::{pages_of_the_queue, until_counted};
use tables::{NOW, Size, task};

gitsync_test_postgres::keeper!();

const ORGANISATION: OrganisationId = OrganisationId(3);
const REPOSITORY: RepositoryId = RepositoryId(1);

/// How many rows a query asks for, where it can ask.
const ROWS: usize = 100;

/// A plan for the values, and one for all values.
const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

/// A query, the indexes it is carried out by, and how many pages it may look at.
struct Query {
    name: &'static str,
    statement: Statement,
    indexes: &'static [&'static str],
    pages: i64,
}

fn query(
    name: &'static str,
    statement: gitsync_core::Result<Statement>,
    indexes: &'static [&'static str],
    pages: i64,
) -> Query {
    Query { name, statement: statement.unwrap(), indexes, pages }
}

fn of_the_queue(size: Size) -> Vec<Query> {
    let (waiting, leased): (Vec<_>, Vec<_>) = (1..=1000).map(task).partition(|id| id.as_bytes()[15] % 4 > 0);
    let (waiting, leased) = (&waiting[..10], &leased[..10]);
    let until = NOW.after(Duration::from_secs(60));
    let host = "h7.example".parse().unwrap();
    let after = HostState { limit: Some(2), ..HostState::default() };
    let lesson = HostLesson { host, before: HostState::default(), after };
    let ended = hosts::count_and_tell(Postgres, &[(&lesson.host, -1)]);
    vec![
        query("expired leases", jobs::abandon_expired(Postgres, NOW), &["job_leased"], 50),
        query("next moment", jobs::next_moment(Postgres, NOW), &["job_scheduled", "job_leased"], 20),
        query("lease ten", jobs::lease(Postgres, waiting, &QueueLimits::default(), NOW), &["job_pkey"], 400),
        query("lock ten", jobs::lock(Postgres, leased), &["job_pkey"], 60),
        query("look at ten", jobs::by_ids(Postgres, leased), &["job_pkey"], 60),
        query("extend ten", jobs::extend(Postgres, leased, until), &["job_pkey"], 400),
        query("give back", jobs::give_back(Postgres, leased[0], 1, None), &["job_pkey"], 40),
        query("delete ten", jobs::delete(Postgres, leased), &["job_pkey"], 100),
        query("end ten", jobs::delete_held(Postgres, leased, 1, NOW), &["job_pkey"], 100),
        query("delete ten that wait", jobs::delete_untouched(Postgres, waiting), &["job_pkey"], 100),
        query("ask ten to end", jobs::request_cancel(Postgres, waiting), &["job_pkey"], 400),
        query("count a host", ended.map(|mut all| all.remove(0)), &["source_host_pkey"], 20),
        query("learn of a host", hosts::note(Postgres, &lesson), &["source_host_pkey"], 20),
        query("spared hosts", hosts::spared(Postgres, NOW, ROWS), &[], 800),
        query("idle hosts", hosts::delete_idle(Postgres, NOW, ROWS), &["source_host_pkey"], 800),
        query("look at the outbox", tasks::outbox(Postgres, ROWS), &["sync_task_outbox"], 2 * ROWS as i64),
        query(
            "mark ten as enqueued",
            tasks::set_enqueued(
                Postgres,
                &(1..=10).map(|n| task(3 * size.repositories + 5 * n)).collect::<Vec<_>>(),
                NOW,
            ),
            &["sync_task_outbox"],
            400,
        ),
    ]
}

fn of_the_books(size: Size) -> Vec<Query> {
    let status = Some(RepositoryStatus::Failed);
    let list = |organisation: Option<OrganisationId>, status| {
        let filter = RepositoryFilter { organisations: organisation.map(|id| vec![id]), status, is_public: None };
        repositories::list(Postgres, &filter, Some(size.repositories / 2), ROWS as u64)
    };
    let list_tasks = |repository, status, kind| {
        let filter = TaskFilter { repository, status, kind };
        tasks::list(Postgres, &filter, Some(task(2 * size.repositories)), ROWS as u64)
    };
    let ended = NOW.before(Duration::from_secs(u64::try_from(size.repositories).unwrap()));
    let logged = NOW.before(Duration::from_secs(u64::try_from(size.jobs / 2).unwrap()));
    vec![
        query("due repositories", repositories::due(Postgres, NOW, ROWS), &["repository_due"], 500),
        query("lock a repository", repositories::lock(Postgres, REPOSITORY), &["repository_pkey"], 10),
        query("repositories of an organisation", list(Some(ORGANISATION), None), &["repository_by_organisation"], 400),
        query("repositories in a status", list(None, status), &["repository_by_status"], 400),
        query(
            "repositories of an organisation in a status",
            list(Some(ORGANISATION), status),
            &["repository_by_organisation_status"],
            400,
        ),
        query(
            "unfinished tasks",
            tasks::unfinished(Postgres, &[RepositoryId(5)]),
            &["sync_task_pending", "sync_task_running"],
            20,
        ),
        query(
            "progress of a task",
            tasks::set_progress(Postgres, task(7), &Progress::default()),
            &["sync_task_pkey"],
            20,
        ),
        query("tasks of a repository", list_tasks(Some(RepositoryId(5)), None, None), &["sync_task_by_repository"], 20),
        query("tasks in a status", list_tasks(None, Some(TaskStatus::Failed), None), &["sync_task_by_status"], 3_000),
        query("tasks of a kind", list_tasks(None, None, Some(TaskKind::Migrate)), &["sync_task_by_kind"], 800),
        query(
            "prune tasks",
            tasks::prune(Postgres, ended, ROWS),
            &["sync_task_ended", "sync_task_by_repository"],
            1500,
        ),
        query("prune the log", log::prune(Postgres, logged, ROWS), &["ref_update_by_time"], 800),
        query("log of a repository", log::list(Postgres, REPOSITORY, None, 10), &["ref_update_by_repository"], 40),
        query("branches", refs::branches(Postgres, REPOSITORY, None, 10), &["recorded_ref_pkey"], 1_000),
    ]
}

async fn of_commits(connection: &mut PgConnection, size: Size) -> Vec<Query> {
    let mut some = Vec::new();
    for n in 0..500 {
        some.push(tables::commit(connection, 1 + n * size.commits / 500).await);
    }
    let ten = commits::orphan(Postgres, REPOSITORY, &some[..10], NOW);
    let after = Some((size.commits / 2, ObjectId::Sha1([1; 20])));
    let list = |filter: &CommitFilter, tip, after| commits::list(Postgres, REPOSITORY, filter, tip, after, ROWS as u64);
    let by_author = CommitFilter { author_email: Some("a7@example".into()), ..CommitFilter::default() };
    let since = CommitFilter { since_seconds: Some(size.commits / 4), ..CommitFilter::default() };
    let tip = Some(tables::commit(connection, 1000).await);
    vec![
        query("commits by time", list(&CommitFilter::default(), None, after), &["git_commit_by_time"], 500),
        query("commits of a time", list(&since, None, None), &["git_commit_by_time"], 500),
        query("commits of an author", list(&by_author, None, after), &["git_commit_by_author"], 500),
        query("orphan ten", ten, &["git_commit_pkey"], 400),
        // Before the table is known five hundred seem to be most of it.
        query("orphan five hundred", commits::orphan(Postgres, REPOSITORY, &some, NOW), &[], 40_000),
        query(
            "orphan what was not seen",
            commits::orphan_unrecorded(Postgres, REPOSITORY, 5, NOW, ROWS),
            &["git_commit_unrecorded"],
            4_000,
        ),
        query("delete commits", commits::delete_some(Postgres, REPOSITORY, ROWS), &["git_commit_by_time"], 1_500),
        // All that the tip reaches are looked up. Before the table is known those seem to be most of it.
        query("commits of a branch", list(&CommitFilter::default(), tip, None), &["git_commit_pkey"], 50_000),
    ]
}

/// Carries each out and says what is wrong.
async fn check(connection: &mut PgConnection, queries: &[Query], knows: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for query in queries {
        // One for all values comes only of what is kept prepared.
        let modes = if query.statement.recurs { &MODES[..] } else { &MODES[..1] };
        for mode in modes {
            let done = explain::explain(connection, &query.statement, mode).await;
            println!("{:45} {knows:8} {mode:18} {:7} pages {:9.3} ms", query.name, done.pages, done.milliseconds);
            let missing =
                query.indexes.iter().filter(|index| !done.plan.split_whitespace().any(|word| word == **index));
            let missing: Vec<_> = missing.collect();
            if !missing.is_empty() || done.pages > query.pages {
                let (pages, most) = (done.pages, query.pages);
                let text = format!(
                    "{}, {knows}, {mode}: without {missing:?}, {pages} pages of {most}\n{}",
                    query.name, done.plan
                );
                wrong.push(text);
            }
        }
    }
    wrong
}

/// How many claims are made, so that the database makes its general plans of their statements, too.
const CLAIMS: i64 = 10;

/// Claims ten jobs and ends them, several times, and says what is wrong. Half of those that wait do so for a host that is full,
/// and a quarter, more urgent, are not due.
async fn check_claims(database: &Database, connection: &mut PgConnection, knows: &str, size: Size) -> Option<String> {
    // Two hundred lanes are looked at, and each index is higher by a page or two.
    let most = if size.jobs > 100_000 { 8_000 } else { 3_000 };
    execute(connection, "SELECT pg_stat_reset()").await;
    let options = database.options().clock(Arc::new(ManualClock::new(NOW)));
    let store = PostgresStore::open(options, QueueLimits::default()).await.unwrap();
    let request = ClaimRequest { limit: 10, storages: vec!["default".parse().unwrap()] };
    let began = Instant::now();
    for _ in 0..CLAIMS {
        let claimed = store.claim(&request).await.unwrap();
        assert_eq!(claimed.len(), 10, "there is enough");
        let answered =
            |job: &ClaimedJob| JobEnd { host: HostReport::Answered, ..JobEnd::new(job.lease, JobOutcome::Done) };
        store.finish(&claimed.iter().map(answered).collect::<Vec<_>>()).await.unwrap();
    }
    let milliseconds = began.elapsed().as_secs_f64() * 1e3 / CLAIMS as f64;
    store.close().await;
    until_counted(connection).await;
    let pages = pages_of_the_queue(connection).await / CLAIMS;
    println!("{:45} {knows:8} {:18} {pages:7} pages {milliseconds:9.3} ms", "claim ten and end them", "");
    (pages > most).then(|| format!("claim, {knows}: {pages} pages"))
}

#[tokio::test]
async fn hot_queries_use_their_indexes() {
    let (database, size) = (Database::create().await, Size::of_this_run());
    let mut connection = database.connect().await;
    tables::fill(&mut connection, size).await;
    let mut queries = of_the_queue(size);
    queries.extend(of_the_books(size));
    queries.extend(of_commits(&mut connection, size).await);
    let mut wrong = check(&mut connection, &queries, "unknown").await;
    wrong.extend(check_claims(&database, &mut connection, "unknown", size).await);
    execute(&mut connection, "ANALYZE").await;
    wrong.extend(check(&mut connection, &queries, "analyzed").await);
    wrong.extend(check_claims(&database, &mut connection, "analyzed", size).await);
    tables::know_of_nothing_that_waits(&mut connection).await;
    wrong.extend(check_claims(&database, &mut connection, "wrong", size).await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
