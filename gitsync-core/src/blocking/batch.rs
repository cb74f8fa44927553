//! Batches of commits, bounded by count and bytes.

use std::mem;

use tokio::sync::mpsc;

use crate::error::Result;
use crate::model::Commit;

/// How many batches wait for the reader of a walk.
const BATCHES_IN_FLIGHT: usize = 2;

/// What a commit costs beside its texts and parents, roughly.
const COMMIT_BYTES: usize = 256;

/// How large a batch of commits may become. One commit is always accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The number of commits.
    pub commits: usize,
    /// What they take in memory, roughly.
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// 2,000 commits or 2 MiB.
    fn default() -> Self {
        BatchLimits { commits: 2_000, bytes: 2 * 1024 * 1024 }
    }
}

/// Where a walk puts its commits.
#[derive(Debug)]
pub struct CommitSink {
    limits: BatchLimits,
    batch: Vec<Commit>,
    bytes: usize,
    sender: mpsc::Sender<Result<Vec<Commit>>>,
}

impl CommitSink {
    pub(super) fn new(limits: BatchLimits) -> (Self, mpsc::Receiver<Result<Vec<Commit>>>) {
        let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        (CommitSink { limits, batch: Vec::new(), bytes: 0, sender }, receiver)
    }

    /// Adds a commit; blocks while the reader is behind. Returns `false` if nobody reads any more.
    pub fn push(&mut self, commit: Commit) -> bool {
        let bytes = bytes_of(&commit);
        if !self.batch.is_empty() && self.bytes + bytes > self.limits.bytes && !self.flush() {
            return false;
        }
        self.bytes += bytes;
        self.batch.push(commit);
        self.batch.len() < self.limits.commits.max(1) || self.flush()
    }

    fn flush(&mut self) -> bool {
        self.bytes = 0;
        let batch = mem::take(&mut self.batch);
        batch.is_empty() || self.sender.blocking_send(Ok(batch)).is_ok()
    }

    /// Sends what is left, or the error.
    pub(super) fn finish(mut self, walked: Result<()>) {
        match walked {
            Ok(()) => {
                self.flush();
            }
            // Nobody to tell it to: the stream was dropped.
            Err(error) => drop(self.sender.blocking_send(Err(error))),
        }
    }
}

fn bytes_of(commit: &Commit) -> usize {
    let texts =
        [&commit.message, &commit.author.name, &commit.author.email, &commit.committer.name, &commit.committer.email];
    COMMIT_BYTES + texts.iter().map(|text| text.len()).sum::<usize>() + commit.parents.len() * 33
}
