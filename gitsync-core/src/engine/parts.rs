//! What all roles of the engine share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::disk::Storage;
use super::dispatch::Dispatcher;
use super::git_program::GitProgram;
use super::options::EngineOptions;
use super::steps::StepHook;
use crate::backend::GitBackend;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{StorageName, StorageReport};
use crate::queue::JobQueue;
use crate::source::{CredentialKeys, SourcePolicy};
use crate::store::Store;
use crate::transport::Transport;

/// How long it is waited for whoever knows the credentials, where no limit of a task holds.
pub(super) const PROVIDER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// The parts an engine is put together from.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) backend: Arc<dyn GitBackend>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credential_keys: Option<Arc<CredentialKeys>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Arc<dyn StepHook>,
    pub(crate) policy: SourcePolicy,
    pub(crate) git: GitProgram,
    pub(crate) storages: BTreeMap<StorageName, Storage>,
    /// Where this process runs.
    pub(crate) machine: String,
    pub(crate) options: EngineOptions,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("store", &self.store)
            .field("queue", &self.queue)
            .field("backend", &self.backend)
            .field("storages", &self.storages)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// Returns a storage that this process serves.
    pub(crate) fn storage(&self, name: &StorageName) -> Result<&Storage> {
        self.storages.get(name).ok_or_else(|| {
            Error::new(ErrorKind::Unavailable, "this process does not serve the repository's storage")
                .with("storage", name)
        })
    }

    /// Returns what is to be reported of a storage that this process serves.
    pub(crate) async fn report_of(&self, storage: &Storage) -> Result<StorageReport> {
        let storage = storage.clone();
        let (machine, serves_for) = (self.machine.clone(), self.options.serves_for());
        blocking(move || {
            Ok(StorageReport {
                name: storage.name().clone(),
                disk: storage.disk()?,
                machine,
                is_shared: storage.is_shared(),
                free_bytes: storage.free_bytes()?,
                serves_for,
            })
        })
        .await
    }
}

/// Runs file work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "file work ended abnormally").caused_by(error))?
}
