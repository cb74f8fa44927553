//! What servers answer by HTTP: where a repository is now, when to come again, and who may come.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{PageRequest, Repository, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{CredentialProvider, Credentials, HostKey, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::RepositoryFilter;
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Authority, ManualClock, SmartHttpServer, TlsServer, Upstream};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_transport::{CaCertificates, NetOptions, NetTransport};

use super::world::engines;

const INFO_REFS: &str = "info/refs?service=git-upload-pack";

/// Knows something for one host.
#[derive(Debug)]
struct Known(HostKey, Credentials);

impl CredentialProvider for Known {
    fn credentials(&self, source: &SourceUrl) -> gitsync_core::Result<Option<Credentials>> {
        Ok((source.host_key() == self.0).then(|| self.1.clone()))
    }
}

/// An engine that may ask this machine, by one of its addresses, which it has credentials for, and by its name.
struct World {
    gitsync: GitSync,
    clock: ManualClock,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(backend: Arc<dyn GitBackend>, credentials: Credentials) -> Self {
        World::with(backend, credentials, &[Scheme::Http], NetOptions::default())
    }

    fn with(backend: Arc<dyn GitBackend>, credentials: Credentials, schemes: &[Scheme], options: NetOptions) -> Self {
        let (clock, dir) = (ManualClock::default(), tempfile::tempdir().unwrap());
        let builder = SourcePolicy::builder().schemes(schemes.iter().copied());
        let policy = builder.allowed_hosts(["127.0.0.1", "localhost", "::1"]).unwrap().build().unwrap();
        let options = NetOptions { credentials_in_clear: true, ..options };
        let known = Known("127.0.0.1".parse().unwrap(), credentials);
        let transport = NetTransport::new(policy.clone(), options).with_credentials(Arc::new(known));
        let gitsync = GitSync::builder()
            .store(Arc::new(MemoryStore::new(Arc::new(clock.clone()))))
            .queue(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())))
            .backend(backend)
            .transport(Arc::new(transport))
            .policy(policy)
            .clock(Arc::new(clock.clone()))
            .repos_dir(dir.path())
            .build()
            .unwrap();
        World { gitsync, clock, _dir: dir }
    }

    async fn request(&self, name: &str, source: &SourceUrl) -> SyncTask {
        let slug = "org".parse().unwrap();
        let organisation = match self.gitsync.organisation_by_slug(&slug).await {
            Ok(organisation) => organisation,
            Err(_) => self.gitsync.create_organisation(&slug, "Org").await.unwrap(),
        };
        let wish = CreateRepository { name: name.into(), source: Some(source.clone()), ..CreateRepository::default() };
        self.gitsync.create_repository(organisation.id, wish).await.unwrap().1
    }

    /// Works until nothing is to be done now, and returns what became of a task.
    async fn work(&self, task: &SyncTask) -> SyncTask {
        self.gitsync.worker().run_until_idle().await.unwrap();
        self.gitsync.task(task.id).await.unwrap()
    }

    /// Syncs the one repository there is and returns it.
    async fn sync(&self) -> Repository {
        let page = PageRequest::new(1, None).unwrap();
        let found = self.gitsync.list_repositories(&RepositoryFilter::default(), &page).await.unwrap();
        let id = found.items[0].id;
        let task = self.gitsync.sync(id).await.unwrap();
        assert_eq!(self.work(&task).await.status, TaskStatus::Completed);
        self.gitsync.repository(id).await.unwrap()
    }

    /// Mirrors, and tells why that did not work.
    async fn mirror(&self, source: &SourceUrl) -> Option<ErrorKind> {
        let task = self.work(&self.request("mirror", source).await).await;
        assert_eq!(task.error.is_none(), task.status == TaskStatus::Completed, "{task:?}");
        task.error.map(|error| error.kind)
    }
}

fn password() -> Credentials {
    Credentials::UserPassword { user: "me".to_owned(), password: "s3cret".into() }
}

fn served() -> (Upstream, SmartHttpServer) {
    let upstream = Upstream::new();
    upstream.commit("main");
    let server = SmartHttpServer::start(upstream.root());
    (upstream, server)
}

fn redirect(status: u16, to: String) -> Behaviour {
    Behaviour::Status(status, vec![("Location", to)])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_who_asks_is_shown_with_every_request() {
    for engine in engines() {
        for (credentials, shown) in
            [(password(), "Basic bWU6czNjcmV0"), (Credentials::Bearer("t0ken".into()), "Bearer t0ken")]
        {
            let (_upstream, server) = served();
            assert_eq!(World::new(engine.clone(), credentials).mirror(&server.source("upstream.git")).await, None);
            let requests = server.take_requests();
            assert!(requests.iter().any(|request| request.endpoint == Endpoint::Command));
            for request in requests {
                assert_eq!(request.headers.get("authorization").map(String::as_str), Some(shown));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_pause_gets_it() {
    for engine in engines() {
        for status in [429, 503] {
            let (_upstream, server) = served();
            let world = World::new(engine.clone(), password());
            server.answer(Endpoint::Greeting, Behaviour::Status(status, vec![("Retry-After", "600".to_owned())]));
            let source = server.source("upstream.git");
            let first = world.work(&world.request("first", &source).await).await;
            assert_eq!(first.error.map(|error| error.kind), Some(ErrorKind::RateLimited));
            assert_eq!(server.take_requests().len(), 1);
            // The host is left alone, by other repositories as well.
            server.answer(Endpoint::Greeting, Behaviour::Serve);
            let second = world.request("second", &source).await;
            world.clock.advance(Duration::from_secs(590));
            assert_eq!(world.work(&second).await.status, TaskStatus::Pending);
            assert!(server.take_requests().is_empty());
            world.clock.advance(Duration::from_secs(20));
            for task in [&first.id, &second.id] {
                world.gitsync.worker().run_until_idle().await.unwrap();
                assert_eq!(world.gitsync.task(*task).await.unwrap().status, TaskStatus::Completed);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_elsewhere_is_found() {
    for engine in engines() {
        for status in [301, 302, 307, 308] {
            let ((_upstream, new), nothing) = (served(), tempfile::tempdir().unwrap());
            let old = SmartHttpServer::start(nothing.path());
            old.answer(Endpoint::Greeting, redirect(status, format!("{}/{INFO_REFS}", new.source("upstream.git"))));
            assert_eq!(World::new(engine.clone(), password()).mirror(&old.source("old.git")).await, None, "{status}");
            assert_eq!(old.take_requests().len(), 1);
            // What is asked there is asked there, and not by way of the old address.
            assert!(new.take_requests().len() >= 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_renamed_is_called_so_from_then_on() {
    let authority = Authority::default();
    for engine in engines() {
        // Without encryption anybody could say so.
        for (encrypts, status, is_renamed) in
            [(true, 301, true), (true, 302, false), (true, 307, false), (true, 308, true), (false, 301, false)]
        {
            let (upstream, server) = served();
            let tls = TlsServer::start(server.address(), &authority.issue("127.0.0.1"), None);
            let ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
            let options = NetOptions { ca_certificates, ..NetOptions::default() };
            let world = World::with(engine.clone(), password(), &[Scheme::Http, Scheme::Https], options);
            let source = |path| if encrypts { tls.source(path) } else { server.source(path) };
            let [old, new] = ["upstream.git", "renamed.git"].map(source);
            assert_eq!(world.mirror(&old).await, None);
            std::fs::rename(upstream.dir(), upstream.root().join("renamed.git")).unwrap();
            server.redirect("upstream.git", status, &new);
            server.take_requests();
            // The first is by way of the old name.
            for requests in [2, if is_renamed { 1 } else { 2 }] {
                let repository = world.sync().await;
                assert_eq!(server.take_requests().len(), requests, "{status}");
                assert_eq!(repository.source.as_ref(), Some(if is_renamed { &new } else { &old }), "{status}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_of_redirects_are_followed_to_their_end_unless_there_is_none() {
    for engine in engines() {
        for (length, expected) in [(5, None), (6, Some(ErrorKind::SourceRefused))] {
            let ((_upstream, last), nothing) = (served(), tempfile::tempdir().unwrap());
            let mut servers = vec![last];
            for _ in 0..length {
                let next = servers.last().unwrap().source("upstream.git");
                let server = SmartHttpServer::start(nothing.path());
                server.answer(Endpoint::Greeting, redirect(302, format!("{next}/{INFO_REFS}")));
                servers.push(server);
            }
            let first = servers.last().unwrap().source("upstream.git");
            assert_eq!(World::new(engine.clone(), password()).mirror(&first).await, expected);
            assert_eq!(servers[0].take_requests().is_empty(), expected.is_some());
        }
        let nothing = tempfile::tempdir().unwrap();
        let ring = SmartHttpServer::start(nothing.path());
        ring.answer(Endpoint::Greeting, redirect(301, format!("{}/{INFO_REFS}", ring.source("upstream.git"))));
        let refused = World::new(engine.clone(), password()).mirror(&ring.source("upstream.git")).await;
        assert_eq!(refused, Some(ErrorKind::SourceRefused));
        assert_eq!(ring.take_requests().len(), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_does_not_lead_inside() {
    for engine in engines() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for target in [
            format!("http://127.0.0.3:{port}/a.git/{INFO_REFS}"),
            format!("http://2130706435:{port}/a.git/{INFO_REFS}"),
            format!("https://127.0.0.1:{port}/a.git/{INFO_REFS}"),
            format!("http://169.254.169.254/a.git/{INFO_REFS}"),
            "file:///etc/info/refs".to_owned(),
            format!("ssh://git@127.0.0.1:{port}/a.git/{INFO_REFS}"),
        ] {
            let nothing = tempfile::tempdir().unwrap();
            let server = SmartHttpServer::start(nothing.path());
            server.answer(Endpoint::Greeting, redirect(302, target.clone()));
            let refused = World::new(engine.clone(), password()).mirror(&server.source("upstream.git")).await;
            assert_eq!(refused, Some(ErrorKind::SourceRefused), "{target}");
            assert!(listener.accept().is_err(), "{target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_not_shown_what_is_for_the_first() {
    for engine in engines() {
        let ((_upstream, second), nothing) = (served(), tempfile::tempdir().unwrap());
        let first = SmartHttpServer::start(nothing.path());
        // The same machine by another name is another host.
        let target = format!("http://localhost:{}/upstream.git/{INFO_REFS}", second.address().port());
        first.answer(Endpoint::Greeting, redirect(302, target));
        let world = World::new(engine.clone(), Credentials::Bearer("t0ken".into()));
        assert_eq!(world.mirror(&first.source("upstream.git")).await, None);
        let shown = |server: &SmartHttpServer| {
            let requests = server.take_requests();
            requests.iter().map(|request| request.headers.contains_key("authorization")).collect::<Vec<_>>()
        };
        assert_eq!(shown(&first), [true]);
        let shown = shown(&second);
        assert!(shown.len() >= 2 && shown.iter().all(|shown| !shown), "{shown:?}");
    }
}
