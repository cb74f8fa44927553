//! The commands.

use anyhow::{Context as _, Result, ensure};
use gitsync_grpc::access::hash_token;
use gitsync_grpc::proto::*;
use tonic::Code;

use crate::connection::{self, Client, repository, split};
use crate::options::{Command, Options, Wait};
use crate::output::Output;
use crate::watch::watch;
use crate::{credentials, lists};

/// Runs the command; tells whether all is well.
pub(crate) async fn run(options: &Options) -> Result<bool> {
    let output = Output { json: options.json };
    if let Command::Token { name, roles } = &options.command {
        return token(name, roles).map(|()| true);
    }
    if let Command::Health = &options.command {
        return health(options).await;
    }
    let client = &mut connection::connect(options).await?;
    match &options.command {
        Command::Create { name, source, description, public, storage, exclude, depth, wait } => {
            let (organisation, name) = split(name)?;
            let request = CreateRepositoryRequest {
                name: name.to_owned(),
                description: description.clone(),
                source_url: source.clone().unwrap_or_default(),
                organisation_id: organisation_to_create_in(client, organisation).await?,
                is_public: *public,
                storage: storage.clone(),
                exclude_refs: exclude.clone(),
                depth: *depth,
                ..CreateRepositoryRequest::default()
            };
            let answer = client.create_repository(request).await?.into_inner();
            let repository = answer.repository.context("the server's answer has no repository")?;
            let done = follow(client, &output, wait, answer.task_id, &answer.message).await?;
            if !wait.no_wait {
                output.repository(&connection::repository(client, &repository.id.to_string()).await?);
            }
            Ok(done)
        }
        Command::Migrate { repository: name, source, force, wait } => {
            let repository_id = repository(client, name).await?.id;
            let source_url = source.clone().unwrap_or_default();
            let request = MigrateRepositoryRequest { repository_id, source_url, force: *force };
            let answer = client.migrate_repository(request).await?.into_inner();
            follow(client, &output, wait, answer.task_id, &answer.message).await
        }
        Command::Sync { repository: name, accept_shrink, wait } => {
            let repository_id = repository(client, name).await?.id;
            let request = SyncRepositoryRequest { repository_id, accept_shrink: Some(*accept_shrink) };
            let answer = client.sync_repository(request).await?.into_inner();
            follow(client, &output, wait, answer.task_id, &answer.message).await
        }
        Command::Maintain { repository: name, verify, wait } => {
            let repository_id = repository(client, name).await?.id;
            let request = MaintainRepositoryRequest { repository_id, verify: *verify };
            let answer = client.maintain_repository(request).await?.into_inner();
            follow(client, &output, wait, answer.task_id, &answer.message).await
        }
        Command::Retry { task, wait } => {
            let task = client.retry_sync_task(RetrySyncTaskRequest { task_id: task.clone() }).await?.into_inner();
            follow(client, &output, wait, task.task_id, &format!("the {} is {}", task.kind, task.status)).await
        }
        Command::Delete { repository: name, wait } => {
            let repository_id = repository(client, name).await?.id;
            let answer = client.delete_repository(DeleteRepositoryRequest { repository_id }).await?.into_inner();
            follow(client, &output, wait, answer.task_id, &answer.message).await
        }
        Command::Watch { task } => watch(client, &output, task.clone()).await,
        Command::Cancel { task } => {
            let task = client.cancel_sync_task(CancelSyncTaskRequest { task_id: task.clone() }).await?.into_inner();
            if output.json {
                output.json(&task);
            } else {
                let asked = if task.status == "running" { ", and was asked to stop" } else { "" };
                println!("the {} is {}{asked}", task.kind, task.status);
            }
            Ok(true)
        }
        Command::Archive { repository: name } => {
            let repository_id = repository(client, name).await?.id;
            let answer = client.archive_repository(ArchiveRepositoryRequest { repository_id }).await?.into_inner();
            show(&output, answer)
        }
        Command::Unarchive { repository: name } => {
            let repository_id = repository(client, name).await?.id;
            let answer = client.unarchive_repository(UnarchiveRepositoryRequest { repository_id }).await?.into_inner();
            show(&output, answer)
        }
        Command::Show { repository: name } => {
            output.repository(&repository(client, name).await?);
            Ok(true)
        }
        Command::SetCredential(new) => credentials::set(client, &output, new).await.map(|()| true),
        Command::DeleteCredential { organisation, name } => {
            credentials::delete(client, organisation, name).await.map(|()| true)
        }
        list => lists::run(client, &output, list).await.map(|()| true),
    }
}

/// Says whether the server serves, and fails if it does not, for what looks after it.
async fn health(options: &Options) -> Result<bool> {
    let serves = connection::serves(options).await?;
    println!("{}", if serves { "it serves" } else { "it does not serve" });
    Ok(serves)
}

pub(crate) fn by_slug(slug: &str) -> GetOrganisationRequest {
    GetOrganisationRequest { organisation_id: 0, slug: slug.to_owned() }
}

/// Finds an organisation, or makes it.
async fn organisation_to_create_in(client: &mut Client, slug: &str) -> Result<i32> {
    match client.get_organisation(by_slug(slug)).await {
        Ok(found) => Ok(found.into_inner().id),
        Err(status) if status.code() == Code::NotFound => {
            let request = CreateOrganisationRequest { slug: slug.to_owned(), name: slug.to_owned() };
            Ok(client.create_organisation(request).await?.into_inner().id)
        }
        Err(status) => Err(status.into()),
    }
}

/// Waits for a task that was requested, unless that is not wanted.
async fn follow(client: &mut Client, output: &Output, wait: &Wait, task_id: String, message: &str) -> Result<bool> {
    if !wait.no_wait {
        return watch(client, output, task_id).await;
    }
    if output.json {
        let task = client.get_sync_task(GetSyncTaskRequest { task_id }).await?.into_inner();
        output.json(&task);
    } else {
        println!("{message}; task {task_id}");
    }
    Ok(true)
}

fn show(output: &Output, answer: RepositoryResponse) -> Result<bool> {
    output.repository(&answer.repository.context("the server's answer has no repository")?);
    Ok(true)
}

/// Makes a token of two random ids, which nobody guesses.
fn token(name: &str, roles: &[String]) -> Result<()> {
    ensure!(!name.chars().any(|letter| letter.is_control() || "\"\\".contains(letter)), "the name has odd characters");
    let entries = roles.iter().map(|role| {
        let (organisation, role) = role.split_once('=').context("a role is ORGANISATION=ROLE")?;
        ensure!(matches!(role, "reader" | "writer" | "admin"), "a role is reader, writer or admin");
        ensure!(
            organisation == "*" || organisation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "an organisation is named by its slug, or all by *"
        );
        Ok(format!("\"{organisation}\" = \"{role}\""))
    });
    let roles = entries.collect::<Result<Vec<_>>>()?.join(", ");
    let token = format!("gitsync_{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    println!("{token}");
    println!("\n[[tokens]]\nname = \"{name}\"\nsha256 = \"{}\"\nroles = {{ {roles} }}", hash_token(&token));
    Ok(())
}
