//! A process that dies where a test wants it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::engine::StepHook;

/// Lets a number of steps pass and never returns from the next: for everybody else the process is dead.
///
/// A test waits for [`DieAt::died`] beside the work, and then drops the work.
#[derive(Debug)]
pub struct DieAt {
    steps_left: AtomicUsize,
    died: Notify,
}

impl DieAt {
    /// Creates a hook that lets `steps` pass.
    pub fn new(steps: usize) -> Arc<Self> {
        Arc::new(DieAt { steps_left: AtomicUsize::new(steps), died: Notify::new() })
    }

    /// Completes when the process has died.
    pub async fn died(&self) {
        self.died.notified().await;
    }
}

#[async_trait]
impl StepHook for DieAt {
    async fn reached(&self, _step: &'static str) {
        let left = self.steps_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}
