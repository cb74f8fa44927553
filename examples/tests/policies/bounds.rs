//! Too much, or too little room: the task fails and says so, and nothing is left.

use gitsync_core::ErrorKind;
use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::state::TaskStatus;

use crate::world::{Engine, World};

#[tokio::test]
async fn a_clone_past_a_bound_fails_and_leaves_nothing() {
    let options = EngineOptions::default;
    let bounds = [
        (EngineOptions { max_pack_bytes: 500, ..options() }, 1_000, ErrorKind::LimitExceeded, "max_pack_bytes"),
        (EngineOptions { max_pack_objects: 89, ..options() }, 1_000, ErrorKind::LimitExceeded, "max_pack_objects"),
        (options(), 2, ErrorKind::LimitExceeded, "max_listed_refs"),
        (EngineOptions { min_free_bytes: u64::MAX, ..options() }, 1_000, ErrorKind::DiskFull, "min_free_bytes"),
    ];
    for engine in Engine::ALL {
        for (options, max_listed_refs, kind, option) in bounds.clone() {
            let world = World::bounded(engine, options, max_listed_refs);
            let tip = world.upstream.history("main", 30);
            world.upstream.tag("v1", tip);
            let (repository, task) = world.create(CreateRepository::default()).await;
            let error = task.error.unwrap_or_else(|| panic!("{engine:?}: {option} holds for nothing"));
            assert_eq!(error.kind, kind, "{engine:?}: {}", error.message);
            assert!(error.message.contains(option), "{engine:?}: {}", error.message);
            // Room may come again; too much stays too much.
            let retried = kind == ErrorKind::DiskFull;
            assert_eq!(task.status == TaskStatus::Pending, retried, "{engine:?}: {option}");
            assert_eq!(repository.error.map(|error| error.kind), Some(kind));
            assert!(!world.dir().exists(), "{engine:?}: {option}");
            assert_eq!(world.remains("tmp"), 0, "{engine:?}: {option}");
        }
    }
}

#[tokio::test]
async fn a_clone_within_its_bounds_is_whole() {
    for engine in Engine::ALL {
        let options = EngineOptions { max_pack_objects: 90, ..EngineOptions::default() };
        let world = World::bounded(engine, options, 3);
        let tip = world.upstream.history("main", 30);
        world.upstream.tag("v1", tip);
        let (repository, task) = world.create(CreateRepository::default()).await;
        assert_eq!((task.error, repository.total_commits), (None, 30), "{engine:?}");
        assert_eq!(world.git().refs(), world.upstream.git().refs());
    }
}
