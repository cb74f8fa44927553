//! Putting an engine together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Storage;
use super::dispatch::Dispatcher;
use super::git_program::GitProgram;
use super::gitsync::GitSync;
use super::machine::this_machine;
use super::options::EngineOptions;
use super::parts::Parts;
use super::steps::{NoSteps, StepHook};
use crate::backend::GitBackend;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::model::StorageName;
use crate::queue::JobQueue;
use crate::source::{CredentialKeys, SourcePolicy};
use crate::store::Store;
use crate::transport::Transport;

/// The name of the storage that [`GitSyncBuilder::repos_dir`] sets up.
pub(super) const DEFAULT_STORAGE: &str = "default";

/// Collects the parts of an engine. Made by [`GitSync::builder`].
#[derive(Debug, Default)]
#[must_use]
pub struct GitSyncBuilder {
    store: Option<Arc<dyn Store>>,
    queue: Option<Arc<dyn JobQueue>>,
    backend: Option<Arc<dyn GitBackend>>,
    transport: Option<Arc<dyn Transport>>,
    credential_keys: Option<Arc<CredentialKeys>>,
    clock: Option<Arc<dyn Clock>>,
    steps: Option<Arc<dyn StepHook>>,
    policy: SourcePolicy,
    storages: Vec<(String, PathBuf, bool)>,
    machine: Option<String>,
    options: EngineOptions,
}

impl GitSyncBuilder {
    /// Sets a database that is store and queue in one, as those of gitsync are.
    pub fn database<D: Store + JobQueue + 'static>(self, database: Arc<D>) -> Self {
        self.store(Arc::clone(&database) as _).queue(database)
    }

    /// Sets the store.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets the queue.
    pub fn queue(mut self, queue: Arc<dyn JobQueue>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Sets the git engine.
    pub fn backend(mut self, backend: Arc<dyn GitBackend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Sets the way to upstreams.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Sets the keys that seal the credentials which organisations keep here, the same for all processes. Without them none can
    /// be set, and what needs such credentials waits for a process that has the keys.
    pub fn credential_keys(mut self, keys: Arc<CredentialKeys>) -> Self {
        self.credential_keys = Some(keys);
        self
    }

    /// Sets the clock; that of the operating system if it is not set. Store and queue should have the same one.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets who is told of every step of a task; for tests.
    pub fn steps(mut self, steps: Arc<dyn StepHook>) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Sets what may be fetched from where, and pushed to. The default allows public https and ssh sources, and no push targets.
    pub fn policy(mut self, policy: SourcePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the one directory that holds the repositories, as the storage `default`.
    pub fn repos_dir(self, directory: impl Into<PathBuf>) -> Self {
        self.storage(DEFAULT_STORAGE, directory)
    }

    /// Adds a storage that this process serves: a name all processes know, and where the disk is on this machine. Processes
    /// on other machines do not serve it meanwhile. A process without a storage has no workers.
    ///
    /// The name belongs to the disk that is first reported by it, which has an id of its own in `.gitsync/disk`. Another disk of
    /// that name is not served, unless somebody writes the known id to that file because it is to take the place of a lost one.
    pub fn storage(mut self, name: &str, directory: impl Into<PathBuf>) -> Self {
        self.storages.push((name.to_owned(), directory.into(), false));
        self
    }

    /// Adds a storage that this process serves beside processes on other machines, all of which have to declare it shared.
    /// Locks on its files (`flock`) have to work among the machines: without that, two of them would write the same repository.
    ///
    /// What can be told from one machine is found out when the engine is built: that a lock that is held is refused to a second,
    /// and on Linux that the directory is not mounted with locks that stay on the machine (NFS with `nolock`,
    /// `local_lock=flock` or `local_lock=all`, and the like of SMB, Lustre, GFS2 and OCFS2). That other machines do respect the locks
    /// is believed. So try it before: `flock FILE sleep 60` on one machine, and `flock --nonblock FILE true` on another, which has to fail.
    pub fn shared_storage(mut self, name: &str, directory: impl Into<PathBuf>) -> Self {
        self.storages.push((name.to_owned(), directory.into(), true));
        self
    }

    /// Sets the name of the machine, the same for all processes among which locks on files work. The default is what tells
    /// one running kernel from another, so that containers on one are one machine.
    pub fn machine(mut self, name: impl Into<String>) -> Self {
        self.machine = Some(name.into());
        self
    }

    /// Sets limits and rhythms.
    pub fn options(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Puts the engine together and makes the directories of its storages, if it has any.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a part is missing, a storage's name or path is not usable or given twice;
    /// [`ErrorKind::Unsupported`] if locks on the files of a storage do not work, as far as that can be told; those of the file
    /// system.
    pub fn build(self) -> Result<GitSync> {
        let mut storages = BTreeMap::new();
        for (name, directory, is_shared) in self.storages {
            let name: StorageName = name.parse()?;
            let root = std::path::absolute(&directory)?;
            let storage = Storage::open(name.clone(), root)?;
            let storage = if is_shared { storage.shared()? } else { storage };
            if storages.insert(name.clone(), storage).is_some() {
                return Err(Error::new(ErrorKind::InvalidInput, "a storage is given twice").with("storage", name));
            }
        }
        self.options.check()?;
        let policy = self.policy.with_storage_roots(storages.values().map(Storage::root))?;
        let store = self.store.ok_or_else(|| missing("a store", "store or database"))?;
        let queue = self.queue.ok_or_else(|| missing("a queue", "queue or database"))?;
        Ok(GitSync::new(Parts {
            dispatcher: Dispatcher::new(Arc::clone(&store), Arc::clone(&queue)),
            store,
            queue,
            backend: self.backend.ok_or_else(|| missing("a git engine", "backend"))?,
            transport: self.transport.ok_or_else(|| missing("a transport", "transport"))?,
            credential_keys: self.credential_keys,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            steps: self.steps.unwrap_or_else(|| Arc::new(NoSteps)),
            policy,
            git: GitProgram::new(self.options.git_program.clone(), self.options.concurrency),
            storages,
            machine: self.machine.unwrap_or_else(this_machine),
            options: self.options,
        }))
    }
}

fn missing(part: &str, method: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("an engine needs {part}")).hint(format!("call {method} on the builder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = GitSync::builder().repos_dir(dir.path()).build().unwrap_err();
        assert!(error.hint_text().unwrap().contains("store"), "{error:?}");
    }

    #[test]
    fn a_storage_is_given_once() {
        let dir = tempfile::tempdir().unwrap();
        let error = GitSync::builder().repos_dir(dir.path()).repos_dir(dir.path()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
