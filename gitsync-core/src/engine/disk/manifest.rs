//! The file that says whose a published directory is.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sync::{replace_file, sync_directory};
use crate::backend::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{RepositoryId, TaskId};
use crate::source::SourceUrl;

/// The name of the file within the repository's git directory.
const FILE_NAME: &str = "gitsync.json";

/// What a published directory says of itself.
///
/// A retry that finds its own task here knows that it had published already and goes on to recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout: 1.
    pub format: u32,
    /// The repository.
    pub repository: RepositoryId,
    /// The task that made the directory.
    pub task: TaskId,
    /// What it was cloned from is called by now; `None` for a repository that was initialized.
    pub source: Option<SourceUrl>,
    /// What the records called the source when its host renamed it. They may still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formerly: Option<SourceUrl>,
}

impl Manifest {
    /// Creates the manifest of a directory that a task makes.
    pub fn new(repository: RepositoryId, task: TaskId, source: Option<SourceUrl>) -> Self {
        Manifest { format: 1, repository, task, source, formerly: None }
    }

    /// Tells whether the directory was cloned from a source, by its present name or the one in the records.
    pub fn is_of(&self, source: &SourceUrl) -> bool {
        [&self.source, &self.formerly].into_iter().flatten().any(|name| name == source)
    }

    /// Gives the source, which the records know by a name, this one. They go on to know it by theirs until the task succeeds,
    /// whatever it was called in attempts that failed.
    #[must_use]
    pub fn renamed(self, source: &SourceUrl, known_as: &SourceUrl) -> Self {
        let formerly = (source != known_as).then(|| known_as.clone());
        Manifest { source: Some(source.clone()), formerly, ..self }
    }

    /// Reads the manifest of a directory; `None` if there is no directory, or one without a manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be understood.
    pub fn read(directory: &Path) -> Result<Option<Manifest>> {
        let bytes = match fs::read(git_directory(directory).join(FILE_NAME)) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "the repository's gitsync.json cannot be understood")
                .with("directory", directory.display())
                .caused_by(error)
        })
    }

    /// Writes the manifest into a directory that nobody knows yet; whoever publishes that makes it durable.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, directory: &Path) -> Result<()> {
        Ok(fs::write(git_directory(directory).join(FILE_NAME), self.text()?)?)
    }

    /// Replaces the manifest of a published directory, durably: after a crash it is the old one or this.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn replace(&self, published: &Path) -> Result<()> {
        let directory = git_directory(published);
        replace_file(&directory, FILE_NAME, &self.text()?, Durability::Engine)?;
        sync_directory(&directory)
    }

    fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a manifest is not JSON").caused_by(error))
    }
}

/// Whose the directory is that is where a repository is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// There is nothing.
    Nobody,
    /// The repository's own.
    Own(Manifest),
    /// One that says of itself that it is another repository's.
    Other(RepositoryId),
    /// One without a manifest, which gitsync did not make, or which lost it.
    Unmarked,
    /// One with a manifest that cannot be understood: the repository's own, by its place, but damaged.
    Damaged,
}

impl Occupant {
    /// Finds out whose the directory is that is where `repository` is published.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(published: &Path, repository: RepositoryId) -> Result<Occupant> {
        match Manifest::read(published) {
            Ok(Some(manifest)) if manifest.repository == repository => Ok(Occupant::Own(manifest)),
            Ok(Some(manifest)) => Ok(Occupant::Other(manifest.repository)),
            Ok(None) if fs::symlink_metadata(published).is_ok() => Ok(Occupant::Unmarked),
            Ok(None) => Ok(Occupant::Nobody),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Occupant::Damaged),
            Err(error) => Err(error),
        }
    }

    /// Says why nothing is published here, or nothing is changed.
    pub fn in_the_way(&self, published: &Path) -> Error {
        let error = match self {
            Occupant::Other(other) => {
                Error::new(ErrorKind::AlreadyExists, "another repository's files are where this one is published")
                    .with("other", other)
                    .hint("they are never replaced: move the directory away")
            }
            Occupant::Damaged => Error::new(ErrorKind::Corrupt, "the repository's gitsync.json cannot be understood")
                .hint("migrate with force to clone the repository anew"),
            Occupant::Nobody | Occupant::Own(_) | Occupant::Unmarked => {
                Error::new(ErrorKind::AlreadyExists, "something is where the repository is to be published")
                    .hint("move it away, or migrate with force, which sets it aside below .gitsync/aside")
            }
        };
        error.with("path", published.display())
    }
}

/// Returns the git directory of a repository: `.git` below a working tree, else the directory itself.
pub(crate) fn git_directory(directory: &Path) -> std::path::PathBuf {
    let below = directory.join(".git");
    if below.is_dir() { below } else { directory.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_whom_its_manifest_names() {
        let dir = tempfile::tempdir().unwrap();
        let whose = |name: &str| Occupant::of(&dir.path().join(name), RepositoryId(1)).unwrap();
        assert_eq!(whose("repository"), Occupant::Nobody);
        let published = dir.path().join("repository");
        fs::create_dir(&published).unwrap();
        assert_eq!(whose("repository"), Occupant::Unmarked);
        Manifest::new(RepositoryId(2), TaskId::generate(), None).write(&published).unwrap();
        assert_eq!(whose("repository"), Occupant::Other(RepositoryId(2)));
        let own = Manifest::new(RepositoryId(1), TaskId::generate(), None);
        own.write(&published).unwrap();
        assert_eq!(whose("repository"), Occupant::Own(own));
        fs::write(published.join(FILE_NAME), "{").unwrap();
        assert_eq!(whose("repository"), Occupant::Damaged);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(whose("file"), Occupant::Unmarked);
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_absence_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        assert_eq!(Manifest::read(&dir.path().join("nothing")).unwrap(), None);
        let manifest = Manifest::new(RepositoryId(1), TaskId::generate(), "https://host/a".parse().ok());
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
        fs::write(dir.path().join(FILE_NAME), "{").unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_renamed_source_is_known_by_its_name_and_that_of_the_records() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second, third]: [SourceUrl; 3] =
            ["a", "b", "c"].map(|name| format!("https://host/{name}").parse().unwrap());
        let known = |manifest: &Manifest| [&first, &second, &third].map(|source| manifest.is_of(source));
        let cloned = Manifest::new(RepositoryId(1), TaskId::generate(), Some(first.clone()));
        assert_eq!(cloned.clone().renamed(&first, &first), cloned);
        let renamed = cloned.clone().renamed(&second, &first);
        assert_eq!(known(&renamed), [true, true, false]);
        renamed.replace(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(renamed.clone()));
        // The records may never have heard of the second name, or by now.
        assert_eq!(known(&renamed.clone().renamed(&third, &first)), [true, false, true]);
        assert_eq!(known(&renamed.clone().renamed(&third, &second)), [false, true, true]);
        assert_eq!(renamed.renamed(&first, &first), cloned);
    }
}
