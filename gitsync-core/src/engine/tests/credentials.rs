//! Credentials that are refused, and changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::world::World;
use crate::engine::{GitSync, GitSyncBuilder, StepHook};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Call;
use crate::model::{RepositoryId, SyncTask};
use crate::rules::{CREDENTIALS_LOOK, TRIED_ANYHOW};
use crate::source::{CredentialRevision, SourceUrl};
use crate::state::{RepositoryStatus, TaskStatus};
use crate::testing::Offline;
use crate::transport::{CREDENTIALS, CallLimits, Connection, HttpRequest, HttpResponse, REFUSED, Service, Transport};

/// A way out of which it is known what credentials its sources have.
#[derive(Debug)]
struct With(Arc<AtomicU32>);

impl Transport for With {
    fn http(&self, request: HttpRequest<'_>, limits: &CallLimits) -> Result<HttpResponse> {
        Offline.http(request, limits)
    }

    fn connect(&self, url: &SourceUrl, service: Service, version: u8, limits: &CallLimits) -> Result<Connection> {
        Offline.connect(url, service, version, limits)
    }

    fn credential_revision(&self, _source: &SourceUrl) -> Result<Option<CredentialRevision>> {
        Ok(Some(CredentialRevision::new(self.0.load(Ordering::SeqCst))))
    }
}

/// Changes the credentials when an attempt has begun.
#[derive(Debug)]
struct Rotate(Arc<AtomicU32>);

#[async_trait]
impl StepHook for Rotate {
    async fn reached(&self, step: &'static str) {
        if step == "taken over" {
            self.0.store(2, Ordering::SeqCst);
        }
    }
}

fn builder(world: &World, credentials: &Arc<AtomicU32>) -> GitSyncBuilder {
    world.builder().repos_dir(world.root()).transport(Arc::new(With(Arc::clone(credentials))))
}

/// An engine on a world, whose sources have these credentials.
fn engine(world: &World, credentials: &Arc<AtomicU32>) -> GitSync {
    builder(world, credentials).build().unwrap()
}

fn refuse_next(world: &World) {
    let refused = Error::new(ErrorKind::Unauthenticated, "the token is not valid").with(CREDENTIALS, REFUSED);
    world.backend.fail_next(Call::List, refused);
}

#[tokio::test]
async fn only_what_was_shown_and_belongs_to_the_source_can_be_refused() {
    let mut world = World::new();
    world.gitsync = engine(&world, &Arc::new(AtomicU32::new(1)));
    world.upstream(1);
    let id = world.mirror().await.id;
    let not_shown = Error::new(ErrorKind::Unauthenticated, "show something");
    let elsewhere = Error::new(ErrorKind::Unauthenticated, "the token is not valid").with(CREDENTIALS, REFUSED);
    for error in [not_shown, elsewhere.with("url", "https://elsewhere.example/x")] {
        world.backend.fail_next(Call::List, error);
        assert_eq!(world.sync(id).await.status, TaskStatus::Failed);
        assert_eq!(world.repository(id).await.refused_credentials, None);
    }
}

async fn refused_sync(world: &World, id: RepositoryId) -> SyncTask {
    refuse_next(world);
    let task = world.sync(id).await;
    assert_eq!((task.status, task.attempt), (TaskStatus::Failed, 1), "it is not tried again");
    assert_eq!(task.error.as_ref().unwrap().kind, ErrorKind::Unauthenticated);
    task
}

#[tokio::test]
async fn refused_credentials_pause_the_schedule_until_they_change() {
    let mut world = World::new();
    let credentials = Arc::new(AtomicU32::new(1));
    world.gitsync = engine(&world, &credentials);
    world.upstream(1);
    let id = world.mirror().await.id;
    refused_sync(&world, id).await;
    let paused = world.repository(id).await;
    assert_eq!(
        (paused.status, paused.refused_credentials),
        (RepositoryStatus::Failed, Some(CredentialRevision::new(1)))
    );

    // Once a day it is tried all the same: it may be the upstream that was wrong.
    let scheduler = world.gitsync.scheduler();
    let mut tried = 0;
    for _ in 0..3 * TRIED_ANYHOW.as_secs() / CREDENTIALS_LOOK.as_secs() {
        world.clock.advance(CREDENTIALS_LOOK);
        if scheduler.scan().await.unwrap() > 0 {
            refuse_next(&world);
            tried += world.work().await;
        }
    }
    assert_eq!((tried, world.repository(id).await.refused_credentials), (3, Some(CredentialRevision::new(1))));
    credentials.store(2, Ordering::SeqCst);
    world.clock.advance(CREDENTIALS_LOOK);
    assert_eq!(scheduler.scan().await.unwrap(), 1);
    world.work().await;
    let healed = world.repository(id).await;
    assert_eq!((healed.status, healed.refused_credentials, healed.failures), (RepositoryStatus::Active, None, 0));
    world.check_books(id).await;
    world.clock.advance(Duration::from_secs(2 * 24 * 3600));
    assert_eq!(scheduler.scan().await.unwrap(), 1, "the schedule goes on");
}

#[tokio::test]
async fn an_upstream_that_was_wrong_about_the_credentials_is_found_right_within_a_day() {
    let mut world = World::new();
    world.gitsync = engine(&world, &Arc::new(AtomicU32::new(1)));
    world.upstream(1);
    let id = world.mirror().await.id;
    refused_sync(&world, id).await;
    world.clock.advance(TRIED_ANYHOW);
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 1);
    world.work().await;
    let healed = world.repository(id).await;
    assert_eq!((healed.status, healed.refused_credentials), (RepositoryStatus::Active, None));
}

#[tokio::test]
async fn credentials_that_change_during_the_attempt_are_tried() {
    let mut world = World::new();
    let credentials = Arc::new(AtomicU32::new(1));
    world.upstream(1);
    let id = world.mirror().await.id;
    world.gitsync = builder(&world, &credentials).steps(Arc::new(Rotate(Arc::clone(&credentials)))).build().unwrap();
    refused_sync(&world, id).await;
    assert_eq!(world.repository(id).await.refused_credentials, Some(CredentialRevision::new(1)));
    world.clock.advance(CREDENTIALS_LOOK);
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 1);
}

#[tokio::test]
async fn who_asks_by_hand_is_not_kept_waiting() {
    let mut world = World::new();
    world.gitsync = engine(&world, &Arc::new(AtomicU32::new(1)));
    world.upstream(1);
    let id = world.mirror().await.id;
    refused_sync(&world, id).await;
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    assert_eq!(world.repository(id).await.refused_credentials, None);
}

/// Processes may be set up in different ways: then they try as often as after other failures, and not with each look.
#[tokio::test]
async fn processes_that_do_not_agree_on_the_credentials_hammer_nobody() {
    let mut world = World::new();
    world.gitsync = engine(&world, &Arc::new(AtomicU32::new(1)));
    world.upstream(1);
    let id = world.mirror().await.id;
    refused_sync(&world, id).await;
    let scheduler = engine(&world, &Arc::new(AtomicU32::new(2))).scheduler();
    let mut attempts = 0;
    for _ in 0..TRIED_ANYHOW.as_secs() / CREDENTIALS_LOOK.as_secs() {
        world.clock.advance(CREDENTIALS_LOOK);
        if scheduler.scan().await.unwrap() > 0 {
            refuse_next(&world);
            attempts += world.work().await;
        }
    }
    assert!((3..9).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn where_the_credentials_are_not_known_it_is_tried_again_like_after_other_failures() {
    let world = World::new();
    world.upstream(1);
    let id = world.mirror().await.id;
    refused_sync(&world, id).await;
    assert_eq!(world.repository(id).await.refused_credentials, None);
    let scheduler = world.gitsync.scheduler();
    world.clock.advance(CREDENTIALS_LOOK);
    assert_eq!(scheduler.scan().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(scheduler.scan().await.unwrap(), 1);
}
