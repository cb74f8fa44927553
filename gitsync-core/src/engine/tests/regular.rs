//! Repositories with a working tree.

use super::hooks::{die_at, push};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::backend::{Head, PublishPermit};
use crate::engine::CreateRepository;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::{ObjectId, RefName, Repository};
use crate::state::{RepositoryStatus, TaskStatus};

impl World {
    /// Creates a repository with a working tree and does what there is to do for it.
    async fn regular(&self, has_source: bool) -> Repository {
        let organisation = self.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let source = has_source.then(|| self.source.clone());
        let wish =
            CreateRepository { name: "regular".into(), source, is_bare: Some(false), ..CreateRepository::default() };
        let (repository, _) = self.gitsync.create_repository(organisation.id, wish).await.unwrap();
        self.work().await;
        self.repository(repository.id).await
    }

    /// Checks records, references and what is checked out.
    async fn check_regular(&self, repository: &Repository, expected: &[(&str, ObjectId)], at: Option<ObjectId>) {
        self.check_records(repository.id).await;
        let mut refs = self.refs_on_disk(repository).await;
        refs.retain(|(name, _)| !name.starts_with("refs/gitsync/"));
        assert_eq!(refs, expected.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<Vec<_>>());
        assert_eq!(self.backend.checked_out(&self.published(repository)).unwrap(), at);
    }

    /// Syncs, and expects a conflict that changes nothing.
    async fn check_conflict(&self, repository: &Repository) {
        let (refs, directory) = (self.refs_on_disk(repository).await, self.published(repository));
        let checked_out = self.backend.checked_out(&directory).unwrap();
        let task = self.sync(repository.id).await;
        assert_eq!(task.status, TaskStatus::Failed);
        assert_eq!(task.error.unwrap().kind, ErrorKind::Conflict);
        assert_eq!(self.refs_on_disk(repository).await, refs);
        assert_eq!(self.backend.checked_out(&directory).unwrap(), checked_out);
    }
}

fn branch(short: &str) -> Head {
    Head::Branch(RefName::branch(short).unwrap())
}

#[tokio::test]
async fn a_clone_has_one_branch_of_its_own_and_follows_it() {
    let world = World::new();
    let line = world.upstream(3);
    world.set("refs/heads/topic", Some(line[1]));
    world.set("refs/tags/v1", Some(line[0]));
    let regular = world.regular(true).await;
    assert_eq!((regular.status, regular.total_commits, regular.error.clone()), (RepositoryStatus::Active, 3, None));
    let refs = |main, topic| {
        [
            ("refs/heads/main", main),
            ("refs/remotes/origin/main", main),
            ("refs/remotes/origin/topic", topic),
            ("refs/tags/v1", line[0]),
        ]
    };
    world.check_regular(&regular, &refs(line[2], line[1]), Some(line[2])).await;

    let next = world.backend.commit(&[line[2]], "next");
    let topic = world.backend.commit(&[], "another history");
    world.set("refs/heads/main", Some(next));
    world.set("refs/heads/topic", Some(topic));
    let task = world.sync(regular.id).await;
    assert_eq!((task.status, task.commits_synced), (TaskStatus::Completed, 1), "of its own branches only");
    world.check_regular(&regular, &refs(next, topic), Some(next)).await;

    let calls = [Call::Fetch, Call::UpdateRefs, Call::CheckOut, Call::Walk];
    let before = calls.map(|call| world.backend.count(call));
    assert!(is_done(&world.sync(regular.id).await));
    assert_eq!(calls.map(|call| world.backend.count(call)), before, "nothing is new");
}

#[tokio::test]
async fn what_diverged_or_was_changed_is_a_conflict_until_it_is_not() {
    let world = World::new();
    let line = world.upstream(2);
    let regular = world.regular(true).await;
    let other = world.backend.commit(&[line[0]], "another");
    world.set("refs/heads/main", Some(other));
    world.check_conflict(&regular).await;
    assert_eq!(world.repository(regular.id).await.status, RepositoryStatus::Failed);

    let next = world.backend.commit(&[line[1]], "next");
    world.set("refs/heads/main", Some(next));
    let directory = world.published(&regular);
    world.backend.make_dirty(&directory).unwrap();
    world.check_conflict(&regular).await;

    // Nothing is to move, so nobody looks.
    world.set("refs/heads/main", Some(line[1]));
    assert!(is_done(&world.sync(regular.id).await));
    world.set("refs/heads/main", None);
    world.check_conflict(&regular).await;
}

#[tokio::test]
async fn a_branch_that_is_ahead_stays_and_is_recorded() {
    let world = World::new();
    let line = world.upstream(2);
    let regular = world.regular(true).await;
    let mine = push(&world, &regular, "refs/heads/mine", None).await;
    let ahead = world.backend.commit(&[line[1]], "made here");
    world.commit_here(&regular, line[1], ahead).await;
    let expected = [("refs/heads/main", ahead), ("refs/heads/mine", mine), ("refs/remotes/origin/main", line[1])];
    for _ in 0..2 {
        assert!(is_done(&world.sync(regular.id).await));
        world.check_regular(&regular, &expected, Some(ahead)).await;
    }
    assert_eq!(world.repository(regular.id).await.total_commits, 4);
}

#[tokio::test]
async fn head_stays_when_upstreams_default_branch_changes() {
    let world = World::new();
    let line = world.upstream(2);
    let regular = world.regular(true).await;
    let trunk = world.backend.commit(&[line[1]], "on trunk");
    world.set("refs/heads/trunk", Some(trunk));
    world.backend.set_head(&world.source, branch("trunk")).unwrap();
    assert!(is_done(&world.sync(regular.id).await));
    let expected =
        [("refs/heads/main", line[1]), ("refs/remotes/origin/main", line[1]), ("refs/remotes/origin/trunk", trunk)];
    world.check_regular(&regular, &expected, Some(line[1])).await;
}

#[tokio::test]
async fn an_empty_upstream_is_followed_to_its_first_branch() {
    let world = World::new();
    world.set("refs/heads/main", None);
    let regular = world.regular(true).await;
    assert_eq!((regular.status, regular.error.clone()), (RepositoryStatus::Active, None));
    let first = world.backend.commit(&[], "first");
    world.set("refs/heads/trunk", Some(first));
    world.backend.set_head(&world.source, branch("trunk")).unwrap();
    assert!(is_done(&world.sync(regular.id).await));
    let expected = [("refs/heads/trunk", first), ("refs/remotes/origin/trunk", first)];
    world.check_regular(&regular, &expected, Some(first)).await;
}

#[tokio::test]
async fn a_clone_in_place_of_another_sets_the_old_files_aside() {
    let world = World::new();
    let line = world.upstream(2);
    let regular = world.regular(true).await;
    let mine = push(&world, &regular, "refs/heads/mine", None).await;
    world.backend.make_dirty(&world.published(&regular)).unwrap();
    world.gitsync.migrate(regular.id, None, true).await.unwrap();
    world.work().await;
    let expected = [("refs/heads/main", line[1]), ("refs/remotes/origin/main", line[1])];
    world.check_regular(&regular, &expected, Some(line[1])).await;
    assert_eq!(world.kept_on_disk(&regular).await, [mine]);
    assert!(world.set_aside().join("checked-out").exists());
}

#[tokio::test]
async fn a_crash_anywhere_is_made_up_for() {
    for step in ["listed", "initialized", "fetched", "references written", "published", "recording begun"] {
        let world = World::new();
        let line = world.upstream(2);
        let organisation = world.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let wish = CreateRepository {
            name: "regular".into(),
            source: Some(world.source.clone()),
            is_bare: Some(false),
            ..CreateRepository::default()
        };
        let (regular, _) = world.gitsync.create_repository(organisation.id, wish).await.unwrap();
        die_at(&world, step).await;
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let expected = |main| [("refs/heads/main", main), ("refs/remotes/origin/main", main)];
        world.check_regular(&regular, &expected(line[1]), Some(line[1])).await;
        assert_eq!(world.remains("tmp"), 0);
    }
    for step in ["checkout recovered", "listed", "fetched", "references published", "recording begun"] {
        let world = World::new();
        let line = world.upstream(2);
        let regular = world.regular(true).await;
        let next = world.backend.commit(&[line[1]], "next");
        world.set("refs/heads/main", Some(next));
        world.gitsync.sync(regular.id).await.unwrap();
        die_at(&world, step).await;
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let expected = [("refs/heads/main", next), ("refs/remotes/origin/main", next)];
        world.check_regular(&regular, &expected, Some(next)).await;
    }
}

#[tokio::test]
async fn what_fails_in_a_checkout_is_tried_again() {
    let world = World::new();
    let line = world.upstream(1);
    world.backend.fail_next(Call::CheckOut, Error::new(ErrorKind::Unavailable, "not now"));
    let regular = world.regular(true).await;
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    let expected = [("refs/heads/main", line[0]), ("refs/remotes/origin/main", line[0])];
    world.check_regular(&regular, &expected, Some(line[0])).await;
}

#[tokio::test]
async fn without_a_source_what_was_committed_is_recorded() {
    let world = World::new();
    let regular = world.regular(false).await;
    assert_eq!((regular.status, regular.total_commits), (RepositoryStatus::Active, 0));
    push(&world, &regular, "refs/heads/main", None).await;
    let task = world.sync(regular.id).await;
    assert_eq!((task.status, task.commits_synced), (TaskStatus::Completed, 1));
    world.check_records(regular.id).await;
}

impl World {
    /// Commits on `main`, as somebody does who works in the tree.
    async fn commit_here(&self, repository: &Repository, old: ObjectId, new: ObjectId) {
        use crate::backend::{GitBackend, RefEdit, RefTransaction};
        struct Working;
        impl PublishPermit for Working {}
        let directory = self.published(repository);
        let hex = new.to_string();
        let object = directory.join("objects").join(&hex[..2]).join(&hex[2..]);
        std::fs::create_dir_all(object.parent().unwrap()).unwrap();
        std::fs::write(object, b"").unwrap();
        let name = RefName::branch("main").unwrap();
        let edits = vec![RefEdit { name, old: Some(old), new: Some(new) }];
        let change = RefTransaction { edits, ..RefTransaction::default() };
        self.backend.update_refs(&directory, change, Box::new(Working)).await.unwrap();
        std::fs::write(directory.join("checked-out"), hex).unwrap();
    }
}
