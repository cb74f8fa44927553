//! Progress on its way from an engine's thread to the task's row.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::backend::ProgressSink;
use crate::engine::parts::Parts;
use crate::error::Result;
use crate::model::Progress;
use crate::store::Work;

/// How often progress is written at the most.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);

/// Holds the latest progress; engines set it as often as they like.
pub(crate) struct ProgressReporter {
    latest: Mutex<Progress>,
    /// What is to be seen beside every phase from now on.
    remarks: Mutex<String>,
}

impl ProgressReporter {
    pub(super) fn new() -> Self {
        ProgressReporter { latest: Mutex::new(Progress::default()), remarks: Mutex::default() }
    }

    /// Begins a phase.
    pub(super) fn phase(&self, phase: &str) {
        let phase = format!("{phase}{}", self.remarks.lock().unwrap_or_else(PoisonError::into_inner));
        self.update(|progress| progress.phase = phase);
    }

    /// Adds something that whoever looks at the task has to know, also when it has ended.
    pub(super) async fn remark(&self, parts: &Parts, work: Work, remark: String) -> Result<()> {
        let remark = format!("; {remark}");
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push_str(&remark);
        self.update(|progress| progress.phase.push_str(&remark));
        parts.store.report_progress(work, &self.latest()).await
    }

    /// Notes how many commits are recorded.
    pub(super) fn recorded(&self, commits: u64) {
        self.update(|progress| progress.commits = commits);
    }

    /// Writes progress to the store whenever it changed. Never completes well: it ends with the work beside it, or with
    /// an error that ends that work, such as a lost lease.
    pub(super) async fn report<T>(&self, parts: &Parts, work: Work) -> Result<T> {
        let never: Result<Infallible> = async {
            let mut written = Progress::default();
            loop {
                parts.clock.sleep(WRITE_INTERVAL).await;
                let latest = self.latest();
                if latest != written {
                    match parts.store.report_progress(work, &latest).await {
                        Err(error) if error.kind() == crate::ErrorKind::LeaseLost => return Err(error),
                        // Progress is not worth the work: if anything is wrong, the work finds it out by itself.
                        Err(error) => tracing::warn!(%error, "cannot report progress"),
                        Ok(()) => {}
                    }
                    written = latest;
                }
            }
        }
        .await;
        never.map(|never| match never {})
    }

    fn latest(&self) -> Progress {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ProgressSink for ProgressReporter {
    fn received(&self, objects: u64, bytes: u64) {
        self.update(|progress| (progress.objects, progress.bytes) = (objects, bytes));
    }
}
