//! The commands that list something.

use anyhow::Result;
use gitsync_core::Timestamp;
use gitsync_grpc::proto::*;

use crate::commands::by_slug;
use crate::connection::{Client, repository};
use crate::credentials;
use crate::options::Command;
use crate::output::{Output, moment};

/// How many items are asked for at once.
const PAGE_ITEMS: usize = 500;

/// Lists all items, or as many as wanted, page by page.
macro_rules! all {
    ($client:ident.$method:ident($request:expr) -> $field:ident, at most $limit:expr) => {{
        let (mut request, limit, mut items) = ($request, $limit, Vec::new());
        while items.len() < limit {
            request.page_size = i32::try_from(PAGE_ITEMS.min(limit - items.len()))?;
            let answer = $client.$method(request.clone()).await?.into_inner();
            items.extend(answer.$field);
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
        }
        items
    }};
}

/// Runs a command that lists something.
pub(crate) async fn run(client: &mut Client, output: &Output, command: &Command) -> Result<()> {
    match command {
        Command::Organisations => {
            let request = ListOrganisationsRequest::default();
            let found = all!(client.list_organisations(request) -> organisations, at most usize::MAX);
            output.list(&found, &["ID", "SLUG", "NAME"], |organisation| {
                vec![organisation.id.to_string(), organisation.slug.clone(), organisation.name.clone()]
            });
        }
        Command::List { organisation, status } => {
            let organisation_id = match organisation {
                Some(slug) => client.get_organisation(by_slug(slug)).await?.into_inner().id,
                None => 0,
            };
            let status = status.clone();
            let request = ListRepositoriesRequest { organisation_id, status, ..ListRepositoriesRequest::default() };
            let found = all!(client.list_repositories(request) -> repositories, at most usize::MAX);
            let head = ["ID", "REPOSITORY", "STATUS", "COMMITS", "LAST SYNC", "SOURCE"];
            output.list(&found, &head, |repository| {
                vec![
                    repository.id.to_string(),
                    format!("{}/{}", repository.organisation_slug, repository.name),
                    repository.status.clone(),
                    repository.total_commits.to_string(),
                    moment(repository.last_synced_at.as_ref()),
                    repository.source_url.clone(),
                ]
            });
        }
        Command::Branches { repository: name } => {
            let repository_id = repository(client, name).await?.id;
            let request = ListBranchesRequest { repository_id, ..ListBranchesRequest::default() };
            let found = all!(client.list_branches(request) -> branches, at most usize::MAX);
            output.list(&found, &["COMMIT", "", "BRANCH"], |branch| {
                let mark = if branch.is_default { "*" } else { "" };
                vec![branch.commit_hash.clone(), mark.to_owned(), branch.name.clone()]
            });
        }
        Command::Commits { repository: name, branch, author, since, until, limit } => {
            let request = ListCommitsRequest {
                repository_id: repository(client, name).await?.id,
                author_email: author.clone(),
                since_seconds: *since,
                until_seconds: *until,
                branch: branch.clone(),
                ..ListCommitsRequest::default()
            };
            let found = all!(client.list_commits(request) -> commits, at most *limit);
            output.list(&found, &["COMMIT", "DATE", "AUTHOR", "SUBJECT"], |commit| {
                let author = commit.author.clone().unwrap_or_default();
                let date = commit.committer.as_ref().map_or(0, |committer| committer.seconds);
                let subject = commit.message.lines().next().unwrap_or_default();
                vec![
                    commit.hash.chars().take(12).collect(),
                    Timestamp::from_secs(date).to_string(),
                    author.name,
                    subject.chars().take(80).collect(),
                ]
            });
        }
        Command::Updates { repository: name, limit } => {
            let repository_id = repository(client, name).await?.id;
            let request = ListRefUpdatesRequest { repository_id, ..ListRefUpdatesRequest::default() };
            let found = all!(client.list_ref_updates(request) -> updates, at most *limit);
            output.list(&found, &["AT", "KIND", "REFERENCE", "OLD", "NEW"], |update| {
                let short = |hash: &str| hash.chars().take(12).collect();
                let name = match update.kind.as_str() {
                    "cloned" => format!("{} branches and tags", update.cloned_refs),
                    _ => update.name.clone(),
                };
                vec![
                    moment(update.at.as_ref()),
                    update.kind.clone(),
                    name,
                    short(&update.old_hash),
                    short(&update.new_hash),
                ]
            });
        }
        Command::Targets { repository: name, add, remove } => {
            let repository_id = repository(client, name).await?.id;
            if let Some(url) = add.clone() {
                client.add_push_target(AddPushTargetRequest { repository_id, url }).await?;
            }
            if let Some(url) = remove.clone() {
                client.remove_push_target(RemovePushTargetRequest { repository_id, url }).await?;
            }
            let found = client.list_push_targets(ListPushTargetsRequest { repository_id }).await?.into_inner();
            output.list(&found.push_targets, &["TARGET", "STATUS", "PUSHED", "ERROR"], |target| {
                vec![
                    target.url.clone(),
                    target.status.clone(),
                    moment(target.pushed_at.as_ref()),
                    target.error_message.chars().take(80).collect(),
                ]
            });
        }
        Command::Credentials { organisation } => {
            let organisation_id = credentials::organisation(client, organisation).await?;
            let request = ListCredentialsRequest { organisation_id, ..ListCredentialsRequest::default() };
            let found = all!(client.list_credentials(request) -> credentials, at most usize::MAX);
            credentials::show(output, &found);
        }
        Command::Tasks { repository: name, status, limit } => {
            let repository_id = match name {
                Some(name) => repository(client, name).await?.id,
                None => 0,
            };
            let status = status.clone();
            let request = ListSyncTasksRequest { repository_id, status, ..ListSyncTasksRequest::default() };
            let found = all!(client.list_sync_tasks(request) -> tasks, at most *limit);
            let head = ["TASK", "REPOSITORY", "KIND", "STATUS", "ATTEMPT", "CREATED", "ERROR"];
            output.list(&found, &head, |task| {
                vec![
                    task.task_id.clone(),
                    task.repository_id.to_string(),
                    task.kind.clone(),
                    task.status.clone(),
                    task.attempt.to_string(),
                    moment(task.created_at.as_ref()),
                    task.error_message.chars().take(80).collect(),
                ]
            });
        }
        Command::Queue => {
            let stats = client.get_queue_stats(GetQueueStatsRequest {}).await?.into_inner();
            let hosts = stats.hosts.clone();
            output.list(&[stats], &["READY", "SCHEDULED", "RUNNING", "OLDEST"], |stats| {
                let oldest = stats.oldest_ready.map_or_else(String::new, |age| format!("{} s", age.seconds));
                vec![stats.ready.to_string(), stats.scheduled.to_string(), stats.running.to_string(), oldest]
            });
            // As JSON they are part of the message.
            if !output.json && !hosts.is_empty() {
                output.list(&hosts, &["HOST", "LIMIT", "CONFIGURED", "FAILURES", "LEFT ALONE UNTIL"], |host| {
                    vec![
                        host.host.clone(),
                        host.limit.to_string(),
                        host.configured_limit.to_string(),
                        host.failures.to_string(),
                        moment(host.blocked_until.as_ref()),
                    ]
                });
            }
        }
        _ => {}
    }
    Ok(())
}
