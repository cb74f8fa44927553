//! What a fetch has just brought.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use gitsync_core::Result;
use gitsync_core::model::ObjectId;

use crate::pack_index::PackIndex;
use crate::repository::Repository;

/// Packs that came after all that is hidden was complete: a commit that is only there cannot be reachable from it.
#[derive(Debug)]
pub(crate) struct FreshPacks {
    fresh: Vec<PackIndex>,
    others: Vec<PackIndex>,
    loose: PathBuf,
}

impl FreshPacks {
    /// Opens the indices of all packs, if any pack is fresh. `names` are those of packs, without directory and ending.
    ///
    /// # Errors
    /// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if an index is none.
    pub(crate) fn open<O>(repository: &Repository<O>, names: &[String]) -> Result<Self> {
        let objects = repository.git_dir().join("objects");
        let mut packs = FreshPacks { fresh: Vec::new(), others: Vec::new(), loose: objects.clone() };
        if names.is_empty() {
            return Ok(packs);
        }
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        for entry in fs::read_dir(objects.join("pack"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "idx") {
                let index = PackIndex::open(&path, repository.format())?;
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
    ///
    /// # Errors
    /// Those of reading the indices.
    pub(crate) fn contains(&self, id: &ObjectId) -> Result<bool> {
        if !in_any(&self.fresh, id)? || in_any(&self.others, id)? {
            return Ok(false);
        }
        let hex = id.to_string();
        Ok(!self.loose.join(&hex[..2]).join(&hex[2..]).exists())
    }
}

fn in_any(packs: &[PackIndex], id: &ObjectId) -> Result<bool> {
    for pack in packs {
        if pack.contains(id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use gitsync_core::model::ObjectFormat;
    use gitsync_core::testing::Upstream;

    use super::*;

    #[test]
    fn only_what_is_in_fresh_packs_alone_is_fresh() {
        let upstream = Upstream::new();
        let git = upstream.git();
        let pack = |id: &ObjectId| {
            let packed = git.feed(&["pack-objects", "--quiet", "objects/pack/pack"], format!("{id}\n").as_bytes());
            format!("pack-{}", String::from_utf8(packed).expect("git prints a name").trim_end())
        };
        let [old, new, both, loose] = [(); 4].map(|()| upstream.commit_on(&[]));
        let (packed, fresh) = (pack(&old), [pack(&new), pack(&both), pack(&loose)]);
        git.run(&["prune-packed"]);
        // In a second pack, and beside all packs.
        let again = git.feed(&["pack-objects", "--quiet", "objects/pack/again"], format!("{both}\n").as_bytes());
        assert!(!again.is_empty());
        let path = |name: &str, ending: &str| upstream.dir().join(format!("objects/pack/{name}.{ending}"));
        let content = fs::read(path(&fresh[2], "pack")).expect("it is there");
        let elsewhere = Upstream::new();
        elsewhere.git().feed(&["unpack-objects", "-q"], &content);
        let hex = loose.to_string();
        let of = |root: &std::path::Path| root.join("objects").join(&hex[..2]).join(&hex[2..]);
        fs::create_dir_all(of(upstream.dir()).parent().expect("a directory")).expect("made");
        fs::copy(of(elsewhere.dir()), of(upstream.dir())).expect("copied");

        let repository = Repository::new(upstream.dir().to_owned(), ObjectFormat::Sha1, ()).expect("opened");
        let open = |names: &[String]| FreshPacks::open(&repository, names).expect("opened");
        let found = open(&fresh);
        let is_fresh = [&old, &new, &both, &loose].map(|id| found.contains(id).expect("read"));
        assert_eq!(is_fresh, [false, true, false, false]);
        assert!(open(&[packed]).contains(&old).expect("read"));
        assert!(!open(&[]).contains(&new).expect("read"));
    }
}
