//! Which sources an engine asks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::world::{World, is_done};
use crate::engine::CreateRepository;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::SyncTask;
use crate::source::{Scheme, SourcePolicy, SourceUrl};

fn redirect_to(world: &World, target: &str) {
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceRedirected, "moved").redirected_to(target));
}

#[tokio::test]
async fn a_redirect_is_followed_and_what_moved_is_cloned() {
    let world = World::new();
    world.upstream(2);
    redirect_to(&world, "https://elsewhere.example.com/a.git");
    let there = SourceUrl::parse("https://elsewhere.example.com/a.git").unwrap().url;
    let commit = world.backend.commit(&[], "elsewhere");
    world.backend.set_ref(&there, "refs/heads/main", Some(commit)).unwrap();
    let repository = world.mirror().await;
    assert_eq!(repository.last_commit, Some(commit));
}

#[tokio::test]
async fn a_redirect_leads_only_where_a_source_may_be() {
    for target in ["https://169.254.169.254/a", "http://example.com/a", "file:///etc", "ext::sh", ""] {
        let world = World::new();
        world.upstream(2);
        redirect_to(&world, target);
        let (_, task) = world.create("a", true).await;
        world.work().await;
        let failed = world.gitsync.task(task.id).await.unwrap().error.unwrap();
        assert_eq!(failed.kind, ErrorKind::SourceRefused, "{target:?}");
        assert_eq!(world.backend.count(Call::List), 1, "{target:?} was asked");
    }
}

#[tokio::test]
async fn an_upstream_that_redirects_for_ever_is_left() {
    let world = World::new();
    world.upstream(2);
    for _ in 0..10 {
        redirect_to(&world, world.source.to_string().as_str());
    }
    let (_, task) = world.create("a", true).await;
    world.work().await;
    assert_eq!(world.gitsync.task(task.id).await.unwrap().error.unwrap().kind, ErrorKind::SourceRefused);
    assert_eq!(world.backend.count(Call::List), 6);
}

/// Creates a mirror of a directory and returns the ended task. All files of the world may be read but for its storage.
async fn mirror_files(world: &World, base: &Path, name: &str, directory: &Path) -> SyncTask {
    let policy = SourcePolicy::builder().schemes([Scheme::File, Scheme::Https]).file_root(base).build().unwrap();
    let root = world.storage().root().to_owned();
    let gitsync = world.builder().policy(policy).repos_dir(root).build().unwrap();
    let source = SourceUrl::parse(&format!("file://{}", directory.display())).unwrap().url;
    let commit = world.backend.commit(&[], "of a file");
    world.backend.set_ref(&source, "refs/heads/main", Some(commit)).unwrap();
    let organisation = gitsync.organisation_by_slug(&"org".parse().unwrap()).await.unwrap().id;
    let wish = CreateRepository { name: name.into(), source: Some(source), ..CreateRepository::default() };
    let (_, task) = gitsync.create_repository(organisation, wish).await.unwrap();
    gitsync.worker().run_until_idle().await.unwrap();
    gitsync.task(task.id).await.unwrap()
}

/// Whoever may name a source could read every repository otherwise.
#[tokio::test]
async fn repositories_are_no_sources_whatever_the_transport_thinks_of_it() {
    let world = World::new();
    world.upstream(2);
    let secret = world.published(&world.mirror().await);
    let base = world.storage().root().parent().unwrap().canonicalize().unwrap();
    let outside = tempfile::tempdir_in(&base).unwrap();
    let link = outside.path().join("link");
    symlink(&secret, &link).unwrap();
    let allowed = outside.path().join("allowed");
    fs::create_dir(&allowed).unwrap();
    for (name, directory) in [("straight", &secret), ("by-link", &link)] {
        let task = mirror_files(&world, &base, name, directory).await;
        assert_eq!(task.error.map(|error| error.kind), Some(ErrorKind::SourceRefused), "{name}");
    }
    assert!(is_done(&mirror_files(&world, &base, "allowed", &allowed).await));
}
