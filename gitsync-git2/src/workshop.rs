//! The repository that libgit2 works in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{AutotagOption, FetchOptions, PackBuilder, RemoteCallbacks, RepositoryOpenFlags};
use gitsync_core::backend::{Durability, InitOptions};
use gitsync_core::model::{ObjectFormat, ObjectId, RefName};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::{Haves, IdSet, Kind, Peeled, Quarantine, copy_shallow, init, peel, read_shallow};

use crate::convert::unreadable;
use crate::odb::utf8;
use crate::open::Repository;
use crate::remote::WANTS;

/// An empty repository in a quarantine, which sees the objects of the real one.
///
/// libgit2 tells the upstream to have what references lead to. Here these are what [`Haves`] chose, under names of ours.
pub(crate) struct Workshop {
    dir: PathBuf,
    repository: git2::Repository,
}

impl Workshop {
    pub(crate) fn new(quarantine: &Quarantine, real: &Repository, haves: &Haves) -> Result<Self> {
        let dir = quarantine.dir().join("git");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let head = RefName::new("refs/heads/none")?;
        init(&dir, &InitOptions { bare: true, format: real.format(), head, durability: Durability::Caller })?;
        fs::write(dir.join("packed-refs"), packed(real, haves)?)?;
        copy_shallow(real, &dir)?;
        let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT | RepositoryOpenFlags::BARE;
        let failed = |error: git2::Error| {
            let message = format!("libgit2 cannot open what it is to work in: {}", error.message());
            Error::new(ErrorKind::Internal, message).caused_by(error)
        };
        let repository = git2::Repository::open_ext(&dir, flags, &[] as &[&Path]).map_err(failed)?;
        // Seen, and not written to.
        let objects = fs::canonicalize(real.git_dir().join("objects"))?;
        let odb = repository.odb().map_err(failed)?;
        odb.add_disk_alternate(utf8(&objects)?).map_err(|error| unreadable("the objects cannot be read", error))?;
        drop(odb);
        Ok(Workshop { dir, repository })
    }

    /// Fetches all that the conversation at an address offers, as libgit2 counts the depth.
    pub(crate) fn download(
        &self,
        address: &str,
        depth: i32,
        callbacks: RemoteCallbacks<'_>,
    ) -> std::result::Result<(), git2::Error> {
        let mut options = FetchOptions::new();
        options.download_tags(AutotagOption::None).depth(depth).remote_callbacks(callbacks);
        let mut remote = self.repository.remote_anonymous(address)?;
        remote.download(&[format!("{WANTS}*:{WANTS}*")], Some(&mut options))
    }

    /// Returns the shallow boundary as it is after the fetch.
    pub(crate) fn boundary(&self) -> Result<IdSet> {
        read_shallow(&self.dir, ObjectFormat::Sha1)
    }

    /// Begins a pack.
    pub(crate) fn pack_builder(&self) -> std::result::Result<PackBuilder<'_>, git2::Error> {
        self.repository.packbuilder()
    }

    /// Returns where the objects are that were received, and no others.
    pub(crate) fn objects(&self) -> PathBuf {
        self.dir.join("objects")
    }

    /// Returns the pack that was received, if any, and its index.
    pub(crate) fn pack(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        for entry in fs::read_dir(self.objects().join("pack"))? {
            let index = entry?.path();
            let pack = index.with_extension("pack");
            if index.extension().is_some_and(|ending| ending == "idx") && pack.exists() {
                return Ok(Some((pack, index)));
            }
        }
        Ok(None)
    }
}

/// Writes what the upstream may know, as references to commits: libgit2 begins its walk at each.
fn packed(real: &Repository, haves: &Haves) -> Result<String> {
    let mut commits = BTreeSet::<ObjectId>::new();
    for tip in &haves.tips {
        if let Peeled::Object(id, Kind::Commit) = peel(real, *tip)? {
            commits.insert(id);
        }
    }
    let mut text = "# pack-refs with: peeled fully-peeled sorted \n".to_owned();
    for (number, id) in commits.iter().enumerate() {
        text.push_str(&format!("{id} refs/have/{number:08}\n"));
    }
    Ok(text)
}
