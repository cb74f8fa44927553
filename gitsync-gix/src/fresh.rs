//! What a fetch has just brought.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use gitsync_core::Result;
use gitsync_core::model::ObjectId;
use gix::odb::pack::index::File as PackIndex;

use crate::convert::{hash_kind, to_gix, unreadable};
use crate::open::Repository;

/// Packs that came after all that is hidden was complete: a commit that is only there cannot be reachable from it.
pub(crate) struct FreshPacks {
    fresh: Vec<PackIndex>,
    others: Vec<PackIndex>,
    loose: PathBuf,
}

impl FreshPacks {
    /// Opens the indices of all packs, if any pack is fresh. `names` are those of packs, without directory and ending.
    pub(crate) fn open(repository: &Repository, names: &[String]) -> Result<Self> {
        let objects = repository.git_dir().join("objects");
        let mut packs = FreshPacks { fresh: Vec::new(), others: Vec::new(), loose: objects.clone() };
        if names.is_empty() {
            return Ok(packs);
        }
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        for entry in fs::read_dir(objects.join("pack"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "idx") {
                let index = PackIndex::at(&path, hash_kind(repository.format()))
                    .map_err(|error| unreadable("a pack's index cannot be read", error).with("path", path.display()))?;
                let is_fresh = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| names.contains(stem));
                if is_fresh { packs.fresh.push(index) } else { packs.others.push(index) }
            }
        }
        Ok(packs)
    }

    /// Tells whether a fresh pack, and nothing else, holds the object.
    ///
    /// Being in a fresh pack is not enough: one that completes a thin pack holds copies of old objects, and an upstream may
    /// send what is there already.
    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        let in_any = |packs: &[PackIndex]| packs.iter().any(|index| index.lookup(to_gix(id)).is_some());
        in_any(&self.fresh) && !in_any(&self.others) && {
            let hex = id.to_string();
            !self.loose.join(&hex[..2]).join(&hex[2..]).exists()
        }
    }
}
