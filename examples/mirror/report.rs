//! What the program says before and after.

use anyhow::Result;
use gitsync_core::model::{Commit, ObjectId, PageRequest, RefChange, Repository, RepositoryId, SyncTask};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::CommitFilter;
use gitsync_core::{Error, GitSync};

/// How many lines of each kind are shown.
const LINES: usize = 10;

/// Says what is about to be done.
pub(crate) fn begin(repository: &Repository, task: &SyncTask) {
    let source = repository.source.as_ref().map(ToString::to_string).unwrap_or_default();
    println!("{}: {} from {source}", repository.name, task.kind.as_str());
}

/// Says what was done and what is there now.
pub(crate) async fn end(gitsync: &GitSync, id: RepositoryId, task: &SyncTask) -> Result<()> {
    let repository = gitsync.repository(id).await?;
    if task.status != TaskStatus::Completed {
        failure(&repository, task);
        return Ok(());
    }
    moved(gitsync, id, task).await?;
    let branch = repository.default_branch.as_ref().map_or("(detached)".into(), |name| short(name.short()));
    println!("status          {}", repository.status);
    println!("default branch  {branch}");
    println!("last commit     {}", repository.last_commit.map_or("(none)".into(), |id| id.to_string()));
    println!("commits         {}", repository.total_commits);
    branches(gitsync, id).await?;
    commits(gitsync, id).await
}

/// Says what went wrong, and what to do about it.
pub(crate) fn error(error: &anyhow::Error) {
    eprint_line(&format!("error: {error}"));
    if let Some(error) = error.downcast_ref::<Error>() {
        eprint_line(&format!("kind: {}", error.kind()));
        if let Some(hint) = error.hint_text() {
            eprint_line(&format!("hint: {hint}"));
        }
    }
}

fn failure(repository: &Repository, task: &SyncTask) {
    if let Some(error) = &task.error {
        eprint_line(&format!("error: {}", error.message));
        eprint_line(&format!("kind: {}", error.kind));
    }
    match task.next_attempt_at.filter(|_| task.status == TaskStatus::Pending) {
        Some(at) => eprint_line(&format!("the task waits until {at} to try again; run the command again for it now")),
        None => eprint_line(&format!("the task {}; {} is {}", task.status, repository.name, repository.status)),
    }
}

async fn moved(gitsync: &GitSync, id: RepositoryId, task: &SyncTask) -> Result<()> {
    let updates = gitsync.list_ref_updates(id, &PageRequest::new(1000, None)?).await?.items;
    let ours: Vec<_> = updates.into_iter().filter(|update| update.task == task.id).collect();
    if ours.is_empty() {
        println!("nothing moved");
    }
    for update in ours.iter().take(LINES) {
        match &update.change {
            RefChange::Cloned { refs } => println!("cloned {refs} branches and tags"),
            RefChange::Moved(movement) => {
                let id = |id: Option<ObjectId>| id.map_or("(none)".into(), |id| abbreviated(&id));
                let kind = movement.kind.as_str();
                println!("{kind:13} {}  {} -> {}", movement.name, id(movement.old), id(movement.new));
            }
        }
    }
    and_more(ours.len());
    Ok(())
}

async fn branches(gitsync: &GitSync, id: RepositoryId) -> Result<()> {
    let page = gitsync.list_branches(id, &PageRequest::new(1000, None)?).await?;
    let more = if page.next.is_some() { "+" } else { "" };
    println!("branches        {}{more}\n", page.items.len());
    for branch in page.items.iter().take(LINES) {
        let mark = if branch.is_default { '*' } else { ' ' };
        println!("{mark} {}  {}", abbreviated(&branch.commit), short(branch.name.short()));
    }
    and_more(page.items.len());
    Ok(())
}

async fn commits(gitsync: &GitSync, id: RepositoryId) -> Result<()> {
    let page = gitsync.list_commits(id, &CommitFilter::default(), &PageRequest::new(LINES, None)?).await?;
    println!("\nnewest commits");
    for Commit { id, author, message, .. } in &page.items {
        println!("  {}  {}  {}", abbreviated(id), author.name, message.lines().next().unwrap_or_default());
    }
    Ok(())
}

fn and_more(count: usize) {
    if count > LINES {
        println!("  … and {} more", count - LINES);
    }
}

fn abbreviated(id: &ObjectId) -> String {
    id.to_string().chars().take(10).collect()
}

fn short(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[allow(clippy::print_stderr, reason = "it is a command line program")]
fn eprint_line(line: &str) {
    eprintln!("{line}");
}
