//! The packs of a repository, and what a git program that was killed leaves among its objects.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::fence::FenceGuard;
use super::locks::{STALE_AFTER, remove_if_stale};
use super::manifest::git_directory;
use crate::error::Result;

/// How old an unfinished file must be to count as left behind. Whoever writes one writes on, but it may rest while what it
/// holds is put together with the rest.
const UNFINISHED_AFTER: Duration = Duration::from_secs(3600);

/// How git calls files that it has not finished: of packs and their indexes, while repacking, and of commit-graphs.
const UNFINISHED: [&str; 2] = ["tmp_", ".tmp-"];

/// Counts the packs that upkeep could make fewer: those that somebody wants to be kept as they are are not among them.
///
/// # Errors
/// Those of the file system; that there is no repository is none.
pub fn count_packs(repository: &Path) -> Result<usize> {
    let directory = git_directory(repository).join("objects/pack");
    let mut count = 0;
    for name in names_in(&directory)? {
        if let Some(pack) = name.strip_suffix(".pack") {
            count += usize::from(!directory.join(format!("{pack}.keep")).exists());
        }
    }
    Ok(count)
}

/// Removes old locks and unfinished files of programs that wrote packs, their index or commit-graphs. Holding the guard means
/// that none of them is a live worker's.
///
/// # Errors
/// Those of the file system.
pub fn remove_unfinished_packs(_permit: &FenceGuard, repository: &Path) -> Result<()> {
    let objects = git_directory(repository).join("objects");
    for directory in ["pack", "info", "info/commit-graphs"].map(|directory| objects.join(directory)) {
        for name in names_in(&directory)? {
            let path = directory.join(&name);
            if name.ends_with(".lock") {
                remove_if_stale(&path, STALE_AFTER);
            } else if UNFINISHED.iter().any(|prefix| name.starts_with(prefix)) {
                remove_if_stale(&path, UNFINISHED_AFTER);
            }
        }
    }
    Ok(())
}

fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    // Git's own names are text.
    entries
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .map(|name| Ok(name?))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::engine::disk::Storage;
    use crate::model::RepositoryId;

    fn touch(path: &Path, age: Duration) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn packs_are_counted_unless_they_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(count_packs(dir.path()).unwrap(), 0);
        for name in ["pack-1.pack", "pack-1.idx", "pack-2.pack", "pack-3.pack", "pack-3.keep", "multi-pack-index"] {
            touch(&dir.path().join("objects/pack").join(name), Duration::ZERO);
        }
        assert_eq!(count_packs(dir.path()).unwrap(), 2);
    }

    #[test]
    fn what_a_killed_program_left_goes_when_it_is_old_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), dir.path()).unwrap();
        let fence = storage.fence(RepositoryId(1));
        fence.raise(1).unwrap();
        let repository = dir.path().join("r");
        let cases = [
            ("pack/multi-pack-index.lock", STALE_AFTER, false),
            ("pack/tmp_pack_ab12", UNFINISHED_AFTER, false),
            ("pack/.tmp-77-pack-ab.pack", UNFINISHED_AFTER, false),
            ("pack/tmp_idx_ab12", UNFINISHED_AFTER - Duration::from_secs(60), true),
            ("info/commit-graphs/commit-graph-chain.lock", STALE_AFTER, false),
            ("info/commit-graphs/tmp_graph_ab", UNFINISHED_AFTER, false),
            ("info/commit-graph.lock", Duration::ZERO, true),
            ("pack/pack-1.pack", UNFINISHED_AFTER, true),
            ("pack/multi-pack-index", UNFINISHED_AFTER, true),
        ];
        for (name, age, _) in cases {
            touch(&repository.join("objects").join(name), age);
        }
        remove_unfinished_packs(&fence.hold(1).unwrap(), &repository).unwrap();
        for (name, _, stays) in cases {
            assert_eq!(repository.join("objects").join(name).exists(), stays, "{name}");
        }
    }
}
