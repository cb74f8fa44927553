//! Progress: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;

use gitsync_core::model::SyncTask;
use gitsync_core::state::TaskStatus;
use indicatif::{HumanBytes, HumanCount, ProgressBar};

/// Shows how far a task is.
pub(crate) struct ProgressView {
    bar: Option<ProgressBar>,
    last_line: String,
}

impl ProgressView {
    /// Creates a view for standard error.
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
            bar
        });
        ProgressView { bar, last_line: String::new() }
    }

    /// Shows a task as it is now.
    pub(crate) fn show(&mut self, task: &SyncTask) {
        let line = describe(task);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            // Elsewhere a line for each new phase is enough.
            None if phase(task) != self.last_line => {
                println!("{}", phase(task));
                self.last_line = phase(task);
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn phase(task: &SyncTask) -> String {
    match (task.status, task.attempt) {
        (TaskStatus::Pending, 0) => "waiting for a worker".into(),
        (TaskStatus::Running, _) if task.progress.phase.is_empty() => "starting".into(),
        (TaskStatus::Running, _) => task.progress.phase.clone(),
        (status, _) => status.to_string(),
    }
}

fn describe(task: &SyncTask) -> String {
    let progress = &task.progress;
    let mut line = phase(task);
    if progress.objects > 0 {
        line += &format!("  {} objects, {}", HumanCount(progress.objects), HumanBytes(progress.bytes));
    }
    if progress.commits > 0 {
        line += &format!("  {} commits recorded", HumanCount(progress.commits));
    }
    line
}
