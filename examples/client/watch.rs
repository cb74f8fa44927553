//! A task's progress: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gitsync_grpc::proto::{SyncTask, WatchSyncTaskRequest};
use indicatif::{HumanBytes, HumanCount, ProgressBar};

use crate::connection::Client;
use crate::output::{Output, plain};

/// Shows a task until it ends; tells whether it ended well.
pub(crate) async fn watch(client: &mut Client, output: &Output, task_id: String) -> Result<bool> {
    let mut changes = client.watch_sync_task(WatchSyncTaskRequest { task_id }).await?.into_inner();
    let mut view = View::new(output);
    let mut last = None;
    while let Some(task) = changes.message().await? {
        view.show(&task);
        last = Some(task);
    }
    view.finish();
    let task = last.context("the server said nothing about the task")?;
    output.task_ended(&task);
    Ok(task.status == "completed")
}

struct View<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    last_phase: String,
}

impl<'a> View<'a> {
    fn new(output: &'a Output) -> Self {
        let bar = (!output.json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        View { output, bar, last_phase: String::new() }
    }

    fn show(&mut self, task: &SyncTask) {
        if self.output.json {
            return self.output.json(task);
        }
        let phase = plain(&phase(task));
        match &self.bar {
            Some(bar) => bar.set_message(plain(&describe(task))),
            // Elsewhere a line for each new phase is enough.
            None if phase != self.last_phase => println!("{phase}"),
            None => {}
        }
        self.last_phase = phase;
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn phase(task: &SyncTask) -> String {
    match task.status.as_str() {
        "pending" if task.held => "waiting for the task that runs".to_owned(),
        "pending" if task.attempt == 0 => "waiting for a worker".to_owned(),
        "pending" => format!("waiting for attempt {}: {}", task.attempt + 1, task.error_message),
        "running" if task.phase.is_empty() => "starting".to_owned(),
        "running" => task.phase.clone(),
        status => status.to_owned(),
    }
}

fn describe(task: &SyncTask) -> String {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let mut line = phase(task);
    if task.received_objects > 0 {
        let (objects, bytes) = (HumanCount(count(task.received_objects)), HumanBytes(count(task.received_bytes)));
        line += &format!("  {objects} objects, {bytes}");
    }
    if task.recorded_commits > 0 {
        line += &format!("  {} commits recorded", HumanCount(count(task.recorded_commits)));
    }
    line
}
