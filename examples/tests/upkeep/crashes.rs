//! Upkeep may end anywhere: whoever comes next makes everything right.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gitsync_core::state::TaskStatus;
use gitsync_core::testing::DieAt;

use crate::world::World;

/// A mirror of some commits in some packs.
async fn mirror(world: &World) -> gitsync_core::model::RepositoryId {
    world.upstream.history("main", 5);
    let id = world.create(true).await;
    for _ in 0..2 {
        world.upstream.commit("main");
        world.sync(id).await;
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_that_dies_anywhere_is_done_by_the_next_worker() {
    for step in 0.. {
        let world = World::on_gix();
        let id = mirror(&world).await;
        let task = world.gitsync().verify_repository(id).await.unwrap();
        let hook = DieAt::new(step);
        let worker = world.engine(Arc::clone(&hook) as _).worker();
        let died = tokio::select! {
            done = worker.run_until_idle() => { done.unwrap(); false }
            () = hook.died() => true,
        };
        drop(worker);
        world.recover().await;
        let ended = world.gitsync().task(task.id).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "died at step {step}: {:?}", ended.error);
        assert!(world.packs().len() < 3, "died at step {step}");
        world.git().assert_sound();
        if !died {
            assert!(step > 5, "the steps are really there");
            return;
        }
    }
}

/// What git leaves when it is killed itself, and cannot tidy up.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_left_is_removed_by_the_next_task() {
    let world = World::on_gix();
    let id = mirror(&world).await;
    let old = SystemTime::now() - Duration::from_secs(7200);
    let left = ["pack/tmp_pack_x1", "pack/.tmp-12-pack-ab.pack", "pack/multi-pack-index.lock"];
    for name in left {
        fs::File::create(world.published().join("objects").join(name)).unwrap().set_modified(old).unwrap();
    }
    world.sync(id).await;
    for name in left {
        assert!(!world.published().join("objects").join(name).exists(), "{name}");
    }
    let task = world.done(world.gitsync().maintain_repository(id).await).await;
    assert_eq!(task.error, None, "no lock is in the way");
}
