//! What works.

use gitsync_core::model::RepositoryId;
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::{Upstream, check_mirror};

use super::world::{Served, Server, World, engines};

/// Syncs, and compares the mirror with its upstream.
async fn sync(world: &World, id: RepositoryId, upstream: &Served) {
    let task = world.gitsync.sync(id).await.unwrap();
    let ended = world.work(&task).await;
    assert_eq!((ended.status, ended.error), (TaskStatus::Completed, None), "{}", upstream.url);
    check_mirror(&world.gitsync, id, &world.mirror(), upstream.repository.dir()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_follow_and_targets_are_pushed_to() {
    for engine in engines() {
        for server in Server::all() {
            let (upstream, target) = (server.serve(Upstream::new()), server.serve(Upstream::new()));
            let world = World::of(engine.clone(), &server);
            let made = &upstream.repository;
            let first = made.history("main", 300);
            made.annotated_tag("v1", first);
            made.branch("gone", first);
            made.noise("noise", 1 << 20);

            let (id, task) = world.request(&upstream.url).await;
            let ended = world.work(&task).await;
            assert_eq!((ended.status, ended.error), (TaskStatus::Completed, None), "{}", upstream.url);
            check_mirror(&world.gitsync, id, &world.mirror(), made.dir()).await;
            sync(&world, id, &upstream).await;

            world.gitsync.add_push_target(id, &target.url).await.unwrap();
            made.history("main", 20);
            made.delete("refs/heads/gone");
            made.branch("noise", made.commit_on(&[first]));
            made.set_head("noise");
            sync(&world, id, &upstream).await;
            let pushed = world.gitsync.push_targets(id).await.unwrap().remove(0);
            assert!(pushed.error.is_none(), "{:?}", pushed.error);
            assert_eq!(target.repository.git().refs(), made.git().refs(), "{}", target.url);
            target.repository.git().assert_sound();

            // Forced and pruned there as well.
            made.branch("main", made.commit_on(&[]));
            made.delete("refs/heads/noise");
            made.set_head("main");
            sync(&world, id, &upstream).await;
            assert_eq!(target.repository.git().refs(), made.git().refs(), "{}", target.url);
            if let Server::Proxy(proxy) = &server {
                assert!(
                    proxy.asked().iter().any(|asked| upstream.url.to_string().contains(asked)),
                    "{:?}",
                    proxy.asked()
                );
            }
        }
    }
}

/// Version 2 of the protocol tells where an unborn `HEAD` points.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_upstream_is_mirrored_with_its_head() {
    for engine in engines() {
        for server in Server::all() {
            let upstream = server.serve(Upstream::new());
            upstream.repository.set_head("trunk");
            let world = World::of(engine.clone(), &server);
            let (id, task) = world.request(&upstream.url).await;
            let ended = world.work(&task).await;
            assert_eq!((ended.status, ended.error), (TaskStatus::Completed, None), "{}", upstream.url);
            check_mirror(&world.gitsync, id, &world.mirror(), upstream.repository.dir()).await;
            upstream.repository.commit("trunk");
            sync(&world, id, &upstream).await;
        }
    }
}
