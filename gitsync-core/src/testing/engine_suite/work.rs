//! Workers that share one queue.

use super::harness::{EngineHarness, repositories};
use crate::engine::{CreateRepository, EngineOptions};
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::TaskFilter;

/// Two processes work on the same jobs: each is done by one of them, at the first attempt.
pub async fn two_workers_do_each_task_once(h: EngineHarness) {
    let count = 60;
    let engines = h.engines(&EngineOptions { concurrency: 4, ..EngineOptions::default() });
    let slug = "org".parse().expect("a slug");
    let organisation = engines[0].create_organisation(&slug, "Org").await.expect("an organisation").id;
    let (h, engine) = (&h, &engines[0]);
    EngineHarness::times(count, |number| async move {
        // Few of each host may run at once.
        let source = format!("https://host-{}.example/r{number}", number % 7);
        let source = SourceUrl::parse(&source).expect("a source").url;
        let tip = h.backend.commit(&[], &format!("of {number}"));
        h.backend.set_ref(&source, "refs/heads/main", Some(tip)).expect("a reference");
        let wish = CreateRepository { name: format!("r{number}"), source: Some(source), ..CreateRepository::default() };
        engine.create_repository(organisation, wish).await.expect("a repository");
    })
    .await;

    let workers = engines.clone().map(|engine| {
        tokio::spawn(async move { engine.worker().run_until_idle().await.expect("jobs can be claimed") })
    });
    let mut done = 0;
    for worker in workers {
        done += worker.await.expect("a worker does not panic");
    }
    // Where the places of a host were taken, one of them ended with nothing to do.
    done += engines[1].worker().run_until_idle().await.expect("jobs can be claimed");
    assert_eq!(done, count, "each job is handed out once");
    let tasks = h.tasks(&TaskFilter::default()).await;
    for task in &tasks {
        assert_eq!((task.status, task.attempt, task.epoch), (TaskStatus::Completed, 1, 1), "{task:?}");
        let repository = engines[1].repository(task.repository).await.expect("it is there");
        assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 1));
    }
    let found = repositories(&tasks);
    assert!(found.len() == count && found.is_sorted_by(|a, b| a < b));
}
