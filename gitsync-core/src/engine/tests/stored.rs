//! Credentials that organisations keep: who is shown them, and how they are sealed anew.

use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret as _;

use super::world::{LONG_ENOUGH, World};
use crate::engine::GitSync;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{OrganisationId, TaskKind};
use crate::source::{CredentialKeys, CredentialProvider, Credentials, SourceUrl, StoredCredentials};
use crate::state::TaskStatus;
use crate::testing::{Offline, StoreCall};
use crate::transport::{CallLimits, Connection, HttpRequest, HttpResponse, Service, Transport};

const OLD: &str = "old:0101010101010101010101010101010101010101010101010101010101010101";
const NEW: &str = "new:0202020202020202020202020202020202020202020202020202020202020202";

/// A way out that notes which credentials it is to ask first.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<Arc<dyn CredentialProvider>>>);

#[derive(Debug)]
struct Noted(Arc<Noting>);

impl Transport for Noted {
    fn http(&self, request: HttpRequest<'_>, limits: &CallLimits) -> Result<HttpResponse> {
        Offline.http(request, limits)
    }

    fn connect(&self, url: &SourceUrl, service: Service, version: u8, limits: &CallLimits) -> Result<Connection> {
        Offline.connect(url, service, version, limits)
    }

    fn asking_first(&self, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Transport>> {
        self.0.0.lock().unwrap().push(credentials);
        Ok(Arc::new(Offline))
    }
}

/// A way out that shows no credentials of others.
#[derive(Debug)]
struct ShowsNone;

impl Transport for ShowsNone {
    fn http(&self, request: HttpRequest<'_>, limits: &CallLimits) -> Result<HttpResponse> {
        Offline.http(request, limits)
    }

    fn connect(&self, url: &SourceUrl, service: Service, version: u8, limits: &CallLimits) -> Result<Connection> {
        Offline.connect(url, service, version, limits)
    }
}

fn keys(text: &str) -> Arc<CredentialKeys> {
    Arc::new(CredentialKeys::from_text(text).unwrap())
}

/// An engine on a world, which seals with these keys.
fn engine(world: &World, text: &str) -> GitSync {
    world.builder().repos_dir(world.root()).credential_keys(keys(text)).build().unwrap()
}

async fn organisation(world: &World, slug: &str) -> OrganisationId {
    world.gitsync.create_organisation(&slug.parse().unwrap(), slug).await.unwrap().id
}

async fn set(gitsync: &GitSync, organisation: OrganisationId, name: &str, token: &str) -> Result<()> {
    let scope = format!("{name}.example").parse()?;
    gitsync.set_credential(organisation, name.parse()?, scope, &Credentials::Bearer(token.into())).await.map(drop)
}

/// Returns what is shown to a host for the work of an organisation.
async fn token(world: &World, text: &str, organisation: OrganisationId, name: &str) -> String {
    let stored = world.gitsync.parts.store.sealed_credentials(organisation).await.unwrap();
    let source = format!("https://{name}.example/x").parse().unwrap();
    match StoredCredentials::new(stored, Some(keys(text))).credentials(&source).unwrap() {
        Some(Credentials::Bearer(token)) => token.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn keys_in_use(world: &World) -> Vec<String> {
    world.gitsync.credential_keys().await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn sealing_anew_goes_on_where_it_broke_off() {
    let mut world = World::new();
    world.gitsync = engine(&world, OLD);
    let (one, other) = (organisation(&world, "one").await, organisation(&world, "other").await);
    for number in 0..100 {
        for organisation in [one, other] {
            set(&world.gitsync, organisation, &format!("n{number}"), &format!("t{number}")).await.unwrap();
        }
    }
    world.gitsync = engine(&world, &format!("{NEW} {OLD}"));
    // Anew set, it is sealed by the first.
    set(&world.gitsync, one, "n7", "t7").await.unwrap();
    world.store.fail(StoreCall::ResealCredential, 150, Error::new(ErrorKind::Unavailable, "the connection is gone"));
    world.gitsync.janitor().round().await;
    assert_eq!((keys_in_use(&world).await.len(), world.store.count(StoreCall::ResealCredential)), (2, 150));
    world.gitsync.janitor().round().await;
    assert_eq!(keys_in_use(&world).await, ["new"]);
    assert_eq!(world.store.count(StoreCall::ResealCredential), 200);
    for number in 0..100 {
        let (name, expected) = (format!("n{number}"), format!("t{number}"));
        assert_eq!(token(&world, NEW, one, &name).await, expected);
        assert_eq!(token(&world, NEW, other, &name).await, expected);
    }
    world.gitsync.janitor().round().await;
    assert_eq!(world.store.count(StoreCall::ResealCredential), 200, "nothing is left to do");
}

#[tokio::test]
async fn what_is_set_or_deleted_while_all_is_sealed_anew_stays_so() {
    let mut world = World::new();
    world.gitsync = engine(&world, OLD);
    let organisation = organisation(&world, "one").await;
    for name in ["a", "b"] {
        set(&world.gitsync, organisation, name, "before").await.unwrap();
    }
    world.gitsync = engine(&world, &format!("{NEW} {OLD}"));
    for deleted in [false, true] {
        let held = world.store.delay(StoreCall::ResealCredential, 1);
        let janitor = world.gitsync.janitor();
        let round = tokio::spawn(async move { janitor.round().await });
        held.reached().await;
        // By a process that has the old key alone yet.
        let late = engine(&world, OLD);
        if deleted {
            late.delete_credential(organisation, &"a".parse().unwrap()).await.unwrap();
        } else {
            set(&late, organisation, "a", "after").await.unwrap();
        }
        held.release();
        round.await.unwrap();
        if !deleted {
            assert_eq!(keys_in_use(&world).await, ["new", "old"]);
            assert_eq!(token(&world, OLD, organisation, "a").await, "after");
        }
        assert_eq!(token(&world, NEW, organisation, "b").await, "before");
    }
    assert_eq!(keys_in_use(&world).await, ["new"]);
    assert_eq!(world.gitsync.parts.store.sealed_credentials(organisation).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_work_that_needs_them_gets_the_credentials_of_its_organisation() {
    let mut world = World::new();
    world.upstream(1);
    let id = world.mirror().await.id;
    let noting = Arc::new(Noting::default());
    let transport = Arc::new(Noted(Arc::clone(&noting)));
    world.gitsync =
        world.builder().repos_dir(world.root()).credential_keys(keys(OLD)).transport(transport).build().unwrap();
    let noted = || std::mem::take(&mut *noting.0.lock().unwrap());
    let (own, other) = (world.repository(id).await.organisation, organisation(&world, "other").await);
    set(&world.gitsync, other, "a", "theirs").await.unwrap();
    noted();
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    assert!(noted().is_empty(), "those of others are not looked at");

    set(&world.gitsync, own, "a", "ours").await.unwrap();
    noted();
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    let given = noted();
    let found = given[0].credentials(&"https://a.example/x".parse().unwrap()).unwrap();
    assert!(matches!(&found, Some(Credentials::Bearer(token)) if token.expose_secret() == "ours") && given.len() == 1);
    let deletion = world.gitsync.delete_repository(id).await.unwrap();
    assert_eq!(deletion.kind, TaskKind::Delete);
    world.work().await;
    assert!(noted().is_empty());
}

#[tokio::test]
async fn a_store_that_is_away_when_they_are_needed_is_waited_for() {
    let mut world = World::new();
    world.upstream(1);
    let id = world.mirror().await.id;
    world.store.fail(StoreCall::SealedCredentials, 1, Error::new(ErrorKind::Unavailable, "the connection is gone"));
    let task = world.sync(id).await;
    assert_eq!((task.status, task.attempt), (TaskStatus::Pending, 0), "it costs no attempt");
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Completed);

    // A transport that does not take them is not used without, and nothing is set that it could not show.
    world.gitsync = engine(&world, OLD);
    let organisation = world.repository(id).await.organisation;
    set(&world.gitsync, organisation, "a", "ours").await.unwrap();
    let deaf = world.builder().repos_dir(world.root()).credential_keys(keys(OLD)).transport(Arc::new(ShowsNone));
    world.gitsync = deaf.build().unwrap();
    assert_eq!(set(&world.gitsync, organisation, "b", "ours").await.unwrap_err().kind(), ErrorKind::Unsupported);
    let task = world.sync(id).await;
    assert_eq!((task.status, task.error.unwrap().kind), (TaskStatus::Failed, ErrorKind::Unsupported));
}
