//! Credentials that organisations keep in the database: set by RPC, shown to private repositories over HTTP, rotated, deleted, and
//! sealed anew, by both engines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::model::{RepositoryId, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::CREDENTIALS_LOOK;
use gitsync_core::source::{CredentialKeys, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{ManualClock, SmartHttpServer, Upstream, check_mirror};
use gitsync_core::{Cancellation, ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_grpc::Service;
use gitsync_grpc::access::OpenAccess;
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::proto::set_credential_request::Secret;
use gitsync_grpc::proto::*;
use gitsync_grpc::server::{Server, ServerOptions};
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// What is sent of the tokens.
const ONE: &str = "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0LW9uZQ==";
const TWO: &str = "Bearer s3cret-two";

/// What no file, error, task or answer may have in it.
const SECRETS: [&str; 4] = ["s3cret-one", "s3cret-two", "eC1hY2Nlc3MtdG9rZW46czNjcmV0LW9uZQ==", "s3cret"];

const OLD_KEY: &str = "old:0101010101010101010101010101010101010101010101010101010101010101";
const NEW_KEY: &str = "new:0202020202020202020202020202020202020202020202020202020202020202";

type Client = GitRepositoryServiceClient<Channel>;

struct World {
    dir: tempfile::TempDir,
    clock: ManualClock,
    database: Arc<SqliteStore>,
    backend: Arc<dyn GitBackend>,
    upstream: Upstream,
    server: SmartHttpServer,
    gitsync: GitSync,
    client: Client,
    stop: Cancellation,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    async fn new(backend: Arc<dyn GitBackend>) -> Self {
        let (dir, clock, upstream) = (tempfile::tempdir().unwrap(), ManualClock::default(), Upstream::new());
        upstream.commit("main");
        let server = SmartHttpServer::start(upstream.root());
        let path = dir.path().join("database/gitsync.db");
        let database = SqliteStore::open(path, Arc::new(clock.clone()), QueueLimits::default()).await.unwrap();
        let database = Arc::new(database);
        let gitsync = engine(dir.path(), &clock, &database, &backend, OLD_KEY);
        let (client, stop) = serve(&gitsync).await;
        World { dir, clock, database, backend, upstream, server, gitsync, client, stop }
    }

    /// Begins anew with other keys.
    async fn restart(&mut self, keys: &str) {
        self.stop.cancel();
        self.gitsync = engine(self.dir.path(), &self.clock, &self.database, &self.backend, keys);
        (self.client, self.stop) = serve(&self.gitsync).await;
    }

    async fn organisation(&self, slug: &str) -> i32 {
        let request = CreateOrganisationRequest { slug: slug.to_owned(), name: slug.to_owned() };
        self.client.clone().create_organisation(request).await.unwrap().into_inner().id
    }

    async fn set(&self, organisation_id: i32, server: &SmartHttpServer, secret: Secret) -> Result<Credential, Status> {
        let scope = server.address().to_string();
        let name = format!("port-{}", server.address().port());
        let request = SetCredentialRequest { organisation_id, name, scope, secret: Some(secret) };
        self.client.clone().set_credential(request).await.map(tonic::Response::into_inner)
    }

    async fn delete(&self, organisation_id: i32, server: &SmartHttpServer) {
        let name = format!("port-{}", server.address().port());
        self.client.clone().delete_credential(DeleteCredentialRequest { organisation_id, name }).await.unwrap();
    }

    async fn list(&self, organisation_id: i32) -> Vec<Credential> {
        let request = ListCredentialsRequest { organisation_id, ..ListCredentialsRequest::default() };
        self.client.clone().list_credentials(request).await.unwrap().into_inner().credentials
    }

    /// Makes a mirror; whether that works is another question.
    async fn mirror(&self, organisation_id: i32, source: &SourceUrl) -> RepositoryId {
        let request = CreateRepositoryRequest {
            organisation_id,
            name: "mirror".to_owned(),
            source_url: source.to_string(),
            ..CreateRepositoryRequest::default()
        };
        let made = self.client.clone().create_repository(request).await.unwrap().into_inner();
        self.work().await;
        RepositoryId(made.repository.unwrap().id)
    }

    async fn work(&self) -> usize {
        self.gitsync.worker().run_until_idle().await.unwrap()
    }

    async fn sync(&self, id: RepositoryId) -> SyncTask {
        let task = self.gitsync.sync(id).await.unwrap();
        self.work().await;
        self.gitsync.task(task.id).await.unwrap()
    }

    /// Does what is due after some time, and tells how many tasks that were.
    async fn after(&self, time: Duration) -> usize {
        self.clock.advance(time);
        self.gitsync.scheduler().scan().await.unwrap();
        self.work().await
    }

    async fn check(&self, id: RepositoryId) {
        let repository = self.gitsync.repository(id).await.unwrap();
        assert_eq!((repository.status, &repository.error), (RepositoryStatus::Active, &None));
        let mirror = self.dir.path().join("repos/ours/mirror");
        check_mirror(&self.gitsync, id, &mirror, self.upstream.dir()).await;
    }

    fn source(&self) -> SourceUrl {
        self.server.source("upstream.git")
    }
}

fn engine(
    dir: &Path,
    clock: &ManualClock,
    database: &Arc<SqliteStore>,
    backend: &Arc<dyn GitBackend>,
    keys: &str,
) -> GitSync {
    let policy = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true);
    let policy = policy.push_host("127.0.0.1").unwrap().build().unwrap();
    let options = NetOptions { credentials_in_clear: true, ..NetOptions::default() };
    let builder = GitSync::builder()
        .store(Arc::clone(database) as _)
        .queue(Arc::clone(database) as _)
        .backend(Arc::clone(backend))
        .transport(Arc::new(NetTransport::new(policy.clone(), options)))
        .policy(policy)
        .clock(Arc::new(clock.clone()))
        .repos_dir(dir.join("repos"));
    let builder = match keys {
        "" => builder,
        keys => builder.credential_keys(Arc::new(CredentialKeys::from_text(keys).unwrap())),
    };
    builder.build().unwrap()
}

async fn serve(gitsync: &GitSync) -> (Client, Cancellation) {
    let service = Service::new(gitsync.clone(), Arc::new(OpenAccess));
    let server = Server::bind(service, ([127, 0, 0, 1], 0).into(), ServerOptions::default()).await.unwrap();
    let (address, stop) = (server.address(), Cancellation::new());
    let stopped = stop.clone();
    tokio::spawn(server.serve(async move { stopped.cancelled().await }));
    (Client::connect(format!("http://{address}")).await.unwrap(), stop)
}

fn engines() -> [Arc<dyn GitBackend>; 2] {
    [Arc::new(GixBackend::default()), Arc::new(Git2Backend::default())]
}

fn one() -> Secret {
    Secret::UserPassword(UserPassword { user: None, password: "s3cret-one".to_owned() })
}

fn two() -> Secret {
    Secret::Bearer("s3cret-two".to_owned())
}

/// Returns what proves who asked, of each request.
fn shown(server: &SmartHttpServer) -> Vec<Option<String>> {
    server.take_requests().iter().map(|request| request.headers.get("authorization").cloned()).collect()
}

/// Checks all files below a directory, byte for byte.
fn assert_no_secret_below(directory: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += assert_no_secret_below(&path);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for secret in SECRETS {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is in {}", path.display());
        }
        files += 1;
    }
    files
}

fn assert_no_secret(text: &str) {
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn set_rotated_and_deleted() {
    for backend in engines() {
        let world = World::new(backend).await;
        world.server.let_in(&[ONE]);
        let (ours, theirs) = (world.organisation("ours").await, world.organisation("theirs").await);
        let set = world.set(ours, &world.server, one()).await.unwrap();
        assert_eq!((set.kind.as_str(), set.scope), ("user_password", world.server.address().to_string()));
        let id = world.mirror(ours, &world.source()).await;
        world.check(id).await;
        assert!(shown(&world.server).iter().all(|shown| shown.as_deref() == Some(ONE)));

        // Another organisation does not get them.
        assert_eq!(world.list(theirs).await, []);
        let foreign = world.mirror(theirs, &world.source()).await;
        let foreign = world.gitsync.repository(foreign).await.unwrap();
        assert_eq!(foreign.error.unwrap().kind, ErrorKind::Unauthenticated);
        assert_eq!(shown(&world.server), [None]);

        // Revoked: asked once, and not again until there are others. Then it goes on by itself, without a new clone.
        world.server.let_in(&[TWO]);
        let task = world.sync(id).await;
        assert_eq!((task.status, task.attempt), (TaskStatus::Failed, 1));
        assert_eq!(shown(&world.server), [Some(ONE.to_owned())]);
        for _ in 0..3 {
            world.after(CREDENTIALS_LOOK).await;
            assert!(!shown(&world.server).contains(&Some(ONE.to_owned())));
        }
        let answer = world.set(ours, &world.server, two()).await.unwrap();
        assert_eq!(answer.kind, "bearer");
        assert!(world.after(CREDENTIALS_LOOK).await >= 1);
        world.check(id).await;
        let requests = world.server.take_requests();
        let fetches = requests.iter().filter(|request| request.body.windows(5).any(|bytes| bytes == b"want "));
        assert_eq!((fetches.count(), requests.is_empty()), (0, false), "what is there is not fetched again");

        let listed = world.list(ours).await;
        assert_eq!(listed, [answer]);
        assert_no_secret(&format!("{listed:?} {task:?} {:?} {:?}", task.error, world.gitsync));
        assert!(assert_no_secret_below(world.dir.path()) > 2);

        // Deleted: what upstream refused once is asked for without any, as soon as those are gone.
        world.server.let_in(&[ONE]);
        assert_eq!(world.sync(id).await.status, TaskStatus::Failed);
        assert_eq!(shown(&world.server), [Some(TWO.to_owned())]);
        world.delete(ours, &world.server).await;
        assert!(world.list(ours).await.is_empty());
        world.after(CREDENTIALS_LOOK).await;
        let asked = shown(&world.server);
        assert!(!asked.is_empty() && asked.iter().all(Option::is_none), "{asked:?}");
        let last = world.gitsync.repository(id).await.unwrap();
        assert_eq!((last.refused_credentials, last.error.unwrap().kind), (None, ErrorKind::Unauthenticated));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_redirect_leads_and_what_is_pushed_to_gets_its_own() {
    for backend in engines() {
        let world = World::new(backend).await;
        world.server.let_in(&[ONE]);
        let (ours, theirs) = (world.organisation("ours").await, world.organisation("theirs").await);
        let (target, nothing) = (Upstream::new(), tempfile::tempdir().unwrap());
        target.git().run(&["config", "http.receivepack", "true"]);
        let target_server = SmartHttpServer::start(target.root());
        target_server.let_in(&[TWO]);
        let old = SmartHttpServer::start(nothing.path());
        let location = format!("{}/info/refs?service=git-upload-pack", world.source());
        old.answer(Endpoint::Greeting, Behaviour::Status(302, vec![("Location", location)]));

        for (organisation, server, secret) in [
            (ours, &world.server, one()),
            (ours, &target_server, two()),
            (ours, &old, two()),
            (theirs, &world.server, two()),
            (theirs, &target_server, one()),
        ] {
            world.set(organisation, server, secret).await.unwrap();
        }
        let id = world.mirror(ours, &old.source("old.git")).await;
        world.check(id).await;
        assert_eq!(shown(&old), [Some(TWO.to_owned())]);
        assert!(shown(&world.server).iter().all(|shown| shown.as_deref() == Some(ONE)));

        let url = target_server.source("upstream.git");
        world.gitsync.add_push_target(id, &url).await.unwrap();
        assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
        let pushed = world.gitsync.push_targets(id).await.unwrap().remove(0);
        assert_eq!(pushed.error, None);
        assert_eq!(target.git().refs(), world.upstream.git().refs());
        let asked = shown(&target_server);
        assert!(!asked.is_empty() && asked.iter().all(|shown| shown.as_deref() == Some(TWO)), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_without_them_nothing_is_shown() {
    let mut world = World::new(Arc::new(GixBackend::default())).await;
    world.server.let_in(&[ONE]);
    let ours = world.organisation("ours").await;
    world.set(ours, &world.server, one()).await.unwrap();
    let id = world.mirror(ours, &world.source()).await;
    world.check(id).await;
    let keys = async |world: &World| {
        let keys = world.gitsync.credential_keys().await.unwrap();
        keys.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(keys(&world).await, ["old"]);
    let before = world.list(ours).await;

    world.restart(&format!("{NEW_KEY} {OLD_KEY}")).await;
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed, "both open");
    world.gitsync.janitor().round().await;
    assert_eq!(keys(&world).await, ["new"]);
    assert_eq!(world.list(ours).await, before, "nobody sees it");
    world.restart(NEW_KEY).await;
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);

    // With the wrong key, and without any, nobody is asked. One that is not here may be elsewhere.
    world.server.take_requests();
    let (waits, fails) = ((TaskStatus::Pending, ErrorKind::Unavailable), (TaskStatus::Failed, ErrorKind::Conflict));
    for (keys, expected) in [(OLD_KEY, waits), (&NEW_KEY.replace("02", "03"), fails), ("", waits)] {
        world.restart(keys).await;
        world.gitsync.janitor().round().await;
        let task = world.sync(id).await;
        let error = task.error.unwrap();
        assert_eq!((task.status, error.kind), expected, "{error:?}");
        assert!(world.server.take_requests().is_empty());
    }
    let refused = world.set(ours, &world.server, one()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("configure keys"), "{refused:?}");
    world.restart(NEW_KEY).await;
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    assert!(assert_no_secret_below(world.dir.path()) > 2);
}
