//! What does not work is told as what it is, whatever the engine's library makes of it.

use std::time::Duration;

use gitsync_core::ErrorKind;
use gitsync_core::model::StoredError;
use gitsync_core::source::SourceUrl;
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::{KeyPair, Upstream};
use gitsync_transport::NetOptions;

use super::world::{Server, World, engines};

/// Returns why a mirror cannot be made.
async fn failure(world: &World, source: &SourceUrl) -> StoredError {
    let (_, task) = world.request(source).await;
    let error = world.work(&task).await.error.unwrap();
    assert!(!world.mirror().exists(), "nothing appears");
    error
}

fn impatient(options: NetOptions) -> NetOptions {
    NetOptions { idle_timeout: Duration::from_secs(1), ..options }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_and_keys_that_are_not_right() {
    for engine in engines() {
        let server = Server::ssh(None);
        let upstream = server.serve(Upstream::new());
        let stranger = KeyPair::generate(&["-t", "ed25519"], "");
        let refused = World::with(engine.clone(), &server, |options| options, Some(stranger));
        assert_eq!(failure(&refused, &upstream.url).await.kind, ErrorKind::Unauthenticated);
        let others =
            |_| NetOptions { host_keys: vec!["other.example ssh-ed25519 AAAA".into()], ..NetOptions::default() };
        let unknown = failure(&World::with(engine.clone(), &server, others, None), &upstream.url).await;
        assert_eq!(unknown.kind, ErrorKind::SourceRefused);
        let Server::Ssh(server, _) = &server else { panic!("it is reached by ssh") };
        assert!(unknown.message.contains(&server.host_key().fingerprint()), "{}", unknown.message);
        assert!(unknown.message.contains("known_hosts"), "{}", unknown.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_that_are_not_there() {
    for engine in engines() {
        for server in [Server::ssh(None), Server::Git] {
            let upstream = server.serve(Upstream::new());
            let missing = upstream.url.to_string().replace("upstream.git", "missing.git").parse().unwrap();
            let error = failure(&World::of(engine.clone(), &server), &missing).await;
            assert_eq!(error.kind, ErrorKind::SourceNotFound, "{}", error.message);
        }
        let server = Server::ssh(Some("echo 'ERROR: Repository not found.' >&2; exit 1"));
        let upstream = server.serve(Upstream::new());
        let error = failure(&World::of(engine.clone(), &server), &upstream.url).await;
        assert_eq!(error.kind, ErrorKind::SourceNotFound, "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_stall() {
    for engine in engines() {
        // At once, and after half of a greeting.
        for command in ["cat >/dev/null", "printf 00; cat >/dev/null"] {
            let server = Server::ssh(Some(command));
            let upstream = server.serve(Upstream::new());
            let error = failure(&World::with(engine.clone(), &server, impatient, None), &upstream.url).await;
            assert_eq!(error.kind, ErrorKind::Timeout, "{command}: {}", error.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_clone_is_cancelled() {
    for engine in engines() {
        let server = Server::ssh(Some("cat >/dev/null"));
        let upstream = server.serve(Upstream::new());
        let world = World::of(engine, &server);
        let (_, task) = world.request(&upstream.url).await;
        let cancel = async {
            let Server::Ssh(server, _) = &server else { panic!("it is reached by ssh") };
            while server.connections() == 0 {
                tokio::task::yield_now().await;
            }
            world.gitsync.cancel_task(task.id).await.unwrap();
        };
        let (ended, ()) = tokio::join!(world.work(&task), cancel);
        assert_eq!(ended.status, TaskStatus::Cancelled);
        assert!(!world.mirror().exists());
    }
}
