//! The leases of a worker: extended while jobs run, and told to end when somebody wants that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::warn;

use crate::cancel::Cancellation;
use crate::engine::parts::Parts;
use crate::error::{Error, ErrorKind};
use crate::model::StorageName;
use crate::queue::{HeartbeatAnswer, Lease, MAX_BATCH};

/// Why a running job is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody cancelled the task.
    Cancelled,
    /// It has run for too long.
    Deadline,
    /// The worker is shutting down.
    Shutdown,
    /// Another worker has the job, or another machine its storage, or may have.
    Lost,
}

/// The leases that a worker holds.
#[derive(Debug)]
pub(super) struct Leases {
    parts: Arc<Parts>,
    live: Mutex<HashMap<Lease, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    storage: StorageName,
    cancellation: Cancellation,
    ending: Arc<Mutex<Option<Ending>>>,
    extended_at: Instant,
}

/// A running job: what tells it to stop, and why. Dropping it gives up its entry.
#[derive(Debug)]
pub(super) struct LiveJob {
    leases: Arc<Leases>,
    lease: Lease,
    entry: Entry,
}

impl Leases {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Leases { parts, live: Mutex::default() }
    }

    /// Adds a lease that was just claimed.
    pub(super) fn add(self: &Arc<Self>, lease: Lease, storage: StorageName) -> LiveJob {
        let (cancellation, ending) = (Cancellation::new(), Arc::default());
        let entry = Entry { storage, cancellation, ending, extended_at: Instant::now() };
        self.lock().insert(lease, entry.clone());
        LiveJob { leases: Arc::clone(self), lease, entry }
    }

    /// Extends leases and asks for cancellations, for ever.
    pub(super) async fn keep(&self) {
        let (heartbeat, poll) = (self.parts.options.heartbeat_interval, self.parts.options.cancel_poll_interval);
        tokio::join!(
            async {
                loop {
                    self.parts.clock.sleep(heartbeat).await;
                    self.extend().await;
                }
            },
            async {
                loop {
                    self.parts.clock.sleep(poll).await;
                    self.ask_for_cancellations().await;
                }
            }
        );
    }

    /// Tells all running jobs to stop.
    pub(super) fn stop_all(&self, ending: Ending) {
        for entry in self.lock().values() {
            entry.end(ending);
        }
    }

    /// Tells the jobs of all storages but these to stop, as those that another worker has.
    pub(super) fn lose_all_but(&self, served: &[StorageName]) {
        for entry in self.lock().values().filter(|entry| !served.contains(&entry.storage)) {
            entry.end(Ending::Lost);
        }
    }

    async fn extend(&self) {
        for leases in self.held().chunks(MAX_BATCH) {
            self.heartbeat(leases).await;
        }
    }

    /// Extends leases, within the time that one heartbeat may take.
    async fn heartbeat(&self, leases: &[Lease]) {
        // An extension counts from when it was asked for: the answer may have been long on its way.
        let asked_at = Instant::now();
        let answers = self.parts.queue.heartbeat(leases);
        match tokio::time::timeout(self.parts.options.heartbeat_interval, answers).await {
            Ok(Ok(answers)) => {
                leases.iter().zip(answers).for_each(|(lease, answer)| self.answered(*lease, answer, asked_at));
                return;
            }
            Ok(Err(error)) => warn!(%error, "cannot extend leases"),
            Err(_) => warn!("cannot extend leases: the queue does not answer"),
        }
        leases.iter().for_each(|lease| self.give_up_when_expired(*lease));
    }

    async fn ask_for_cancellations(&self) {
        for leases in self.held().chunks(MAX_BATCH) {
            // What fails here the next heartbeat finds out.
            let Ok(answers) = self.parts.queue.cancel_requested(leases).await else { continue };
            let stopping = leases.iter().zip(answers).filter(|(_, stop)| *stop);
            let stopping: Vec<Lease> = stopping.map(|(lease, _)| *lease).collect();
            if stopping.is_empty() {
                continue;
            }
            // Cancelled, or lost: only a heartbeat tells the one from the other.
            self.heartbeat(&stopping).await;
        }
    }

    fn answered(&self, lease: Lease, answer: HeartbeatAnswer, asked_at: Instant) {
        let mut live = self.lock();
        let Some(entry) = live.get_mut(&lease) else { return };
        match answer {
            HeartbeatAnswer::Continue => entry.extended_at = asked_at,
            HeartbeatAnswer::CancelRequested => {
                entry.extended_at = asked_at;
                entry.end(Ending::Cancelled);
            }
            HeartbeatAnswer::DeadlineReached => entry.end(Ending::Deadline),
            HeartbeatAnswer::Lost => entry.end(Ending::Lost),
        }
    }

    /// Stops a job whose lease has expired by this process's own clock: the database cannot be asked whether somebody else
    /// has it by now.
    fn give_up_when_expired(&self, lease: Lease) {
        let limit = self.parts.options.lease;
        if let Some(entry) = self.lock().get(&lease)
            && entry.extended_at.elapsed() >= limit
        {
            entry.end(Ending::Lost);
        }
    }

    fn held(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Lease, Entry>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn end(&self, ending: Ending) {
        // The first reason counts, unless the job turns out to be another worker's: then nothing may be written.
        let mut current = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() || ending == Ending::Lost {
            *current = Some(ending);
        }
        self.cancellation.cancel();
    }
}

impl LiveJob {
    pub(super) fn cancellation(&self) -> Cancellation {
        self.entry.cancellation.clone()
    }

    pub(super) async fn cancelled(&self) {
        self.entry.cancellation.cancelled().await;
    }

    pub(super) fn end(&self, ending: Ending) {
        self.entry.end(ending);
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        *self.entry.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the cancellation that stopped work by the reason for it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (self.ending(), error.kind()) {
            (Some(Ending::Deadline), ErrorKind::Cancelled) => {
                Error::new(ErrorKind::Timeout, "the task ran into its time limit")
                    .hint("raise the time limit, if the upstream is that large or slow")
            }
            _ => error,
        }
    }
}

impl Drop for LiveJob {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.lease);
    }
}
