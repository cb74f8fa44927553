//! What the server answers.

use std::cell::RefCell;
use std::fmt::Debug;
use std::path::Path;

use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::proto::*;
use tokio::runtime::Runtime;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

type Client = GitRepositoryServiceClient<InterceptedService<Channel, Token>>;

type Answer<T> = Result<Response<T>, Status>;

/// A client that remembers all that it was answered.
pub(crate) struct Api {
    runtime: Runtime,
    client: RefCell<Client>,
    heard: RefCell<Vec<u8>>,
}

#[derive(Clone)]
struct Token(String);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.0).parse().unwrap());
        Ok(request)
    }
}

impl Api {
    pub(crate) fn connect(url: &str, authority: &Path, token: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(authority).unwrap()));
        let endpoint = Endpoint::from_shared(url.to_owned()).unwrap().tls_config(tls).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        let client = GitRepositoryServiceClient::with_interceptor(channel, Token(token.to_owned()));
        Api { runtime, client: RefCell::new(client), heard: RefCell::default() }
    }

    /// Returns all that was answered.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.borrow().clone()
    }

    pub(crate) fn hear(&self, bytes: &[u8]) {
        self.heard.borrow_mut().extend(bytes);
    }

    fn call<T: Debug>(&self, ask: impl AsyncFnOnce(&mut Client) -> Answer<T>) -> Result<T, Status> {
        let answer = self.runtime.block_on(ask(&mut self.client.borrow_mut()));
        self.hear(format!("{answer:?}").as_bytes());
        if let Err(status) = &answer {
            self.hear(status.message().as_bytes());
            self.hear(status.details());
        }
        answer.map(Response::into_inner)
    }

    pub(crate) fn organisation(&self, slug: &str) -> i32 {
        let request = CreateOrganisationRequest { slug: slug.to_owned(), name: slug.to_owned() };
        self.call(async |client| client.create_organisation(request).await).unwrap().id
    }

    /// Asks for a mirror, and returns it and its task.
    pub(crate) fn create(&self, organisation_id: i32, name: &str, source: &str) -> Result<(i32, String), Status> {
        let request = CreateRepositoryRequest {
            name: name.to_owned(),
            source_url: source.to_owned(),
            organisation_id,
            ..CreateRepositoryRequest::default()
        };
        let answer = self.call(async |client| client.create_repository(request).await)?;
        Ok((answer.repository.unwrap().id, answer.task_id))
    }

    pub(crate) fn migrate(&self, repository_id: i32, source: &str) -> Result<String, Status> {
        let request = MigrateRepositoryRequest { repository_id, source_url: source.to_owned(), force: true };
        self.call(async |client| client.migrate_repository(request).await).map(|answer| answer.task_id)
    }

    pub(crate) fn sync(&self, repository_id: i32) -> String {
        let request = SyncRepositoryRequest { repository_id, accept_shrink: None };
        self.call(async |client| client.sync_repository(request).await).unwrap().task_id
    }

    pub(crate) fn cancel(&self, task: &str) {
        let request = CancelSyncTaskRequest { task_id: task.to_owned() };
        self.call(async |client| client.cancel_sync_task(request).await).unwrap();
    }

    /// Follows a task to its end.
    pub(crate) fn ended(&self, task: &str) -> SyncTask {
        let request = WatchSyncTaskRequest { task_id: task.to_owned() };
        let mut last = None;
        let mut changes = self.call(async |client| client.watch_sync_task(request).await).unwrap();
        while let Some(task) = self.runtime.block_on(changes.message()).unwrap() {
            self.hear(format!("{task:?}").as_bytes());
            last = Some(task);
        }
        last.expect("the server says something of it")
    }

    pub(crate) fn add_target(&self, repository_id: i32, url: &str) -> Result<PushTarget, Status> {
        let request = AddPushTargetRequest { repository_id, url: url.to_owned() };
        self.call(async |client| client.add_push_target(request).await)
    }

    pub(crate) fn remove_target(&self, repository_id: i32, url: &str) -> Result<(), Status> {
        let request = RemovePushTargetRequest { repository_id, url: url.to_owned() };
        self.call(async |client| client.remove_push_target(request).await).map(|_| ())
    }

    pub(crate) fn targets(&self, repository_id: i32) -> Vec<PushTarget> {
        let request = ListPushTargetsRequest { repository_id };
        self.call(async |client| client.list_push_targets(request).await).unwrap().push_targets
    }

    /// Asks for all that is known of a repository.
    pub(crate) fn repository(&self, repository_id: i32) {
        let page_size = 100;
        let request = GetRepositoryRequest { repository_id, ..GetRepositoryRequest::default() };
        self.call(async |client| client.get_repository(request).await).unwrap();
        let request = ListBranchesRequest { repository_id, page_size, ..ListBranchesRequest::default() };
        self.call(async |client| client.list_branches(request).await).unwrap();
        let request = ListCommitsRequest { repository_id, page_size, ..ListCommitsRequest::default() };
        self.call(async |client| client.list_commits(request).await).unwrap();
        let request = ListRefUpdatesRequest { repository_id, page_size, ..ListRefUpdatesRequest::default() };
        self.call(async |client| client.list_ref_updates(request).await).unwrap();
        let request = ListSyncTasksRequest { repository_id, page_size, ..ListSyncTasksRequest::default() };
        for task in self.call(async |client| client.list_sync_tasks(request).await).unwrap().tasks {
            let request = GetSyncTaskRequest { task_id: task.task_id };
            self.call(async |client| client.get_sync_task(request).await).unwrap();
        }
        self.targets(repository_id);
    }

    /// Asks for what is not of one repository.
    pub(crate) fn rest(&self) {
        let page_size = 100;
        let request = ListRepositoriesRequest { page_size, ..ListRepositoriesRequest::default() };
        self.call(async |client| client.list_repositories(request).await).unwrap();
        let request = ListOrganisationsRequest { page_size, ..ListOrganisationsRequest::default() };
        self.call(async |client| client.list_organisations(request).await).unwrap();
        self.call(async |client| client.get_queue_stats(GetQueueStatsRequest {}).await).unwrap();
    }
}
