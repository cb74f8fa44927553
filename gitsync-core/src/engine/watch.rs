//! Watching tasks: a stream for whoever waits for the end of one, however many wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::gitsync::GitSync;
use super::parts::Parts;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{SyncTask, TaskId};
use crate::store::MAX_STORE_BATCH;

/// The most streams of tasks that one engine has open at once.
pub const MAX_WATCHERS: usize = 10_000;

/// How often the store is asked what became of the tasks that are watched.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

impl GitSync {
    /// Watches a task: the stream yields it at once, and again whenever it has changed.
    ///
    /// States that follow each other faster than the stream is read, or than twice a second, are passed over; the last one
    /// never is. If another task took its place the stream goes on with that one. It ends with the state that nothing comes
    /// after, or when the task was removed. A store that is away for a while is waited for.
    ///
    /// All streams together cost one query in half a second, and none costs anything once it was dropped.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] without the task, [`ErrorKind::LimitExceeded`] if [`MAX_WATCHERS`] streams are open; those of
    /// the store. In the stream: only errors that waiting does not help.
    pub async fn watch_task(&self, id: TaskId) -> Result<impl Stream<Item = Result<SyncTask>> + Send + use<>> {
        let place = Arc::clone(&self.watches.places).try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::LimitExceeded, format!("at most {MAX_WATCHERS} streams of tasks are open at once"))
                .hint("close others, or ask for the task from time to time")
        })?;
        let changes = self.watches.subscribe(id).await?;
        let watcher =
            Watcher { watches: Arc::clone(&self.watches), id: Some(id), changes: Some(changes), _place: place };
        Ok(stream::unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }))
    }
}

/// What is watched in one engine.
pub(super) struct Watches {
    parts: Arc<Parts>,
    places: Arc<Semaphore>,
    /// Whoever reads tasks from the store holds the lock until it has handed them out, so that no watcher is told of an
    /// earlier state after a later one.
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    tasks: HashMap<TaskId, watch::Sender<SyncTask>>,
    /// Asks the store for all of them. It is there while somebody watches.
    poller: Option<JoinHandle<()>>,
}

impl Watches {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Watches { parts, places: Arc::new(Semaphore::new(MAX_WATCHERS)), watched: Mutex::default() }
    }

    /// Reads a task and returns its changes from now on, the present state as the first.
    async fn subscribe(self: &Arc<Self>, id: TaskId) -> Result<watch::Receiver<SyncTask>> {
        let mut watched = self.watched.lock().await;
        let task = self.parts.store.task(id).await?;
        let mut changes = match watched.tasks.get(&id) {
            Some(known) => {
                let changes = known.subscribe();
                publish(known, task);
                changes
            }
            None => {
                let (sender, changes) = watch::channel(task);
                watched.tasks.insert(id, sender);
                changes
            }
        };
        changes.mark_changed();
        // A poller that has ended by itself has taken its handle away; one may also have gone with its runtime.
        if watched.poller.as_ref().is_none_or(JoinHandle::is_finished) {
            watched.poller = Some(tokio::spawn(Arc::clone(self).poll()));
        }
        Ok(changes)
    }

    /// Asks the store for what is watched until nobody watches.
    async fn poll(self: Arc<Self>) {
        loop {
            self.parts.clock.sleep(POLL_INTERVAL).await;
            let mut watched = self.watched.lock().await;
            watched.tasks.retain(|_, changes| changes.receiver_count() > 0);
            if watched.tasks.is_empty() {
                *watched = Watched::default();
                return;
            }
            match self.look(&mut watched).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    warn!(%error, "cannot ask for the tasks that are watched");
                }
                // Each watcher looks for itself, so those find out whom it concerns.
                Err(_) => watched.tasks.clear(),
            }
        }
    }

    /// Hands out what became of all tasks that are watched. Those that will not change any more, or are gone, are watched no
    /// longer.
    async fn look(&self, watched: &mut Watched) -> Result<()> {
        let ids: Vec<_> = watched.tasks.keys().copied().collect();
        for ids in ids.chunks(MAX_STORE_BATCH) {
            let mut found: HashMap<_, _> =
                self.parts.store.tasks(ids).await?.into_iter().map(|task| (task.id, task)).collect();
            for id in ids {
                let found = found.remove(id);
                let goes_on = found.as_ref().is_some_and(|task| !task.status.is_terminal());
                if let (Some(changes), Some(task)) = (watched.tasks.get(id), found) {
                    publish(changes, task);
                }
                if !goes_on {
                    watched.tasks.remove(id);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watchers = MAX_WATCHERS - self.places.available_permits();
        f.debug_struct("Watches").field("watchers", &watchers).finish_non_exhaustive()
    }
}

fn publish(changes: &watch::Sender<SyncTask>, task: SyncTask) {
    changes.send_if_modified(|known| {
        let is_news = *known != task;
        *known = task;
        is_news
    });
}

/// One stream.
struct Watcher {
    watches: Arc<Watches>,
    /// The task; `None` if nothing comes after what was yielded last.
    id: Option<TaskId>,
    /// Its changes; `None` if it is still to be looked for.
    changes: Option<watch::Receiver<SyncTask>>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<SyncTask>> {
        loop {
            let id = self.id?;
            let Some(changes) = &mut self.changes else {
                match self.watches.subscribe(id).await {
                    Ok(changes) => self.changes = Some(changes),
                    Err(error) if error.kind() == ErrorKind::NotFound => self.id = None,
                    Err(error) if error.kind() == ErrorKind::Unavailable => {
                        self.watches.parts.clock.sleep(POLL_INTERVAL).await;
                    }
                    Err(error) => {
                        self.id = None;
                        return Some(Err(error));
                    }
                }
                continue;
            };
            if changes.changed().await.is_err() {
                // The poller knows nothing of it any more: it is gone, or could not be read with the others.
                self.changes = None;
                continue;
            }
            let task = changes.borrow_and_update().clone();
            if task.status.is_terminal() {
                self.id = task.superseded_by;
                self.changes = None;
            }
            return Some(Ok(task));
        }
    }
}
