//! What is printed: tables for people, JSON for programs.

use gitsync_core::Timestamp;
use gitsync_grpc::client::{self, ToJson};
use gitsync_grpc::proto;
use tonic::Status;

/// Prints what the server says.
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints a message as JSON.
    pub(crate) fn json(&self, message: &impl ToJson) {
        println!("{}", message.to_json());
    }

    /// Prints messages, one in each line, or as a table.
    pub(crate) fn list<M: ToJson>(&self, messages: &[M], head: &[&str], row: impl Fn(&M) -> Vec<String>) {
        if self.json {
            return messages.iter().for_each(|message| self.json(message));
        }
        let rows: Vec<_> = messages.iter().map(row).collect();
        table(head, &rows);
    }

    /// Prints a repository.
    pub(crate) fn repository(&self, repository: &proto::Repository) {
        if self.json {
            return self.json(repository);
        }
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let mut lines = vec![
            ("repository", format!("{}/{} ({})", repository.organisation_slug, repository.name, repository.id)),
            ("description", repository.description.clone()),
            ("source", repository.source_url.clone()),
            ("status", repository.status.clone()),
            ("error", repository.error_message.clone()),
            ("default branch", repository.default_branch.clone()),
            ("last commit", repository.last_commit_hash.clone()),
            ("commits", repository.total_commits.to_string()),
            ("size", indicatif::HumanBytes(u64::try_from(repository.size_bytes).unwrap_or(0)).to_string()),
            ("last synced", moment(repository.last_synced_at.as_ref())),
            ("next sync", moment(repository.next_sync_at.as_ref())),
            ("mirror", yes(repository.is_mirror)),
            ("public", yes(repository.is_public)),
            ("owner", repository.owner.clone()),
        ];
        lines.retain(|(_, value)| !value.is_empty());
        for (label, value) in lines {
            println!("{label:15} {}", plain(&value));
        }
    }

    /// Prints how a task ended.
    pub(crate) fn task_ended(&self, task: &proto::SyncTask) {
        if self.json {
            return;
        }
        let what = format!("{} {}", task.kind, task.status);
        match task.error_message.as_str() {
            "" => println!("{what}, {} new commits", task.commits_synced),
            error => println!("{what}: {}", plain(error)),
        }
    }
}

/// Prints why a command failed, with what helps.
pub(crate) fn error(error: &anyhow::Error) {
    match error.downcast_ref::<Status>() {
        Some(status) => {
            eprintln!("error: {}", plain(status.message()));
            let kind = client::kind(status);
            eprintln!("kind: {}", kind.unwrap_or_else(|| format!("{:?}", status.code()).to_ascii_lowercase()));
        }
        None => eprintln!("error: {error:#}"),
    }
}

/// Formats a moment; nothing if there is none.
pub(crate) fn moment(at: Option<&proto::Timestamp>) -> String {
    at.map_or_else(String::new, |at| Timestamp::from_secs(at.seconds).to_string())
}

/// Makes text from elsewhere harmless for a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn table(head: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let mut widths: Vec<_> = head.iter().map(|cell| cell.len()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<_> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    };
    print(&mut head.iter().copied());
    for row in &rows {
        print(&mut row.iter().map(String::as_str));
    }
}
