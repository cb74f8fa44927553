//! The repositories of a script on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backend::{Head, InitOptions, RefTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectFormat, ObjectId, RefName};

const FILE_NAME: &str = "scripted.json";

/// What stands for a working tree: a file that holds the id of a commit.
const CHECKED_OUT: &str = "checked-out";

/// A repository: `scripted.json` with its references, and `objects/ab/cd…`, an empty file per object.
pub(super) struct Files(PathBuf);

/// What a repository says of itself.
pub(super) struct State {
    pub(super) refs: BTreeMap<RefName, ObjectId>,
    pub(super) head: Head,
    pub(super) format: ObjectFormat,
}

impl State {
    /// Returns what `HEAD` leads to.
    pub(super) fn head_id(&self) -> Option<ObjectId> {
        match &self.head {
            Head::Branch(name) => self.refs.get(name).copied(),
            Head::Detached(id) => Some(*id),
        }
    }
}

/// The state as it is written. Names are text, which is all a script can make.
#[derive(Serialize, Deserialize)]
struct Stored {
    refs: BTreeMap<String, ObjectId>,
    head_branch: Option<String>,
    head_id: Option<ObjectId>,
}

impl Files {
    pub(super) fn init(directory: &Path, options: &InitOptions) -> Result<()> {
        fs::create_dir_all(directory.join("objects"))?;
        let files = Files(directory.to_owned());
        if directory.join(FILE_NAME).exists() {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is a repository already"));
        }
        let head = Head::Branch(options.head.clone());
        files.write(&State { refs: BTreeMap::new(), head, format: options.format })
    }

    pub(super) fn open(directory: &Path) -> Result<Files> {
        if !directory.join(FILE_NAME).exists() {
            return Err(
                Error::new(ErrorKind::NotFound, "there is no repository").with("directory", directory.display())
            );
        }
        Ok(Files(directory.to_owned()))
    }

    pub(super) fn read(&self) -> Result<State> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "the scripted repository cannot be understood");
        let bytes = fs::read(self.0.join(FILE_NAME))?;
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| corrupt().caused_by(error))?;
        let head = match (stored.head_branch, stored.head_id) {
            (Some(name), _) => Head::Branch(RefName::new(name)?),
            (None, Some(id)) => Head::Detached(id),
            (None, None) => return Err(corrupt()),
        };
        let refs = stored.refs.into_iter().map(|(name, id)| Ok((RefName::new(name)?, id)));
        Ok(State { refs: refs.collect::<Result<_>>()?, head, format: ObjectFormat::Sha1 })
    }

    pub(super) fn write(&self, state: &State) -> Result<()> {
        let (head_branch, head_id) = match &state.head {
            Head::Branch(name) => (Some(name.to_string()), None),
            Head::Detached(id) => (None, Some(*id)),
        };
        let refs = state.refs.iter().map(|(name, id)| (name.to_string(), *id)).collect();
        let text = serde_json::to_vec(&Stored { refs, head_branch, head_id })
            .map_err(|error| Error::new(ErrorKind::Internal, "a state is not JSON").caused_by(error))?;
        let temporary = self.0.join("scripted.json.new");
        fs::write(&temporary, text)?;
        Ok(fs::rename(temporary, self.0.join(FILE_NAME))?)
    }

    /// Applies a change of references: all of it or none.
    pub(super) fn apply(&self, change: RefTransaction) -> Result<()> {
        let mut state = self.read()?;
        for edit in change.edits {
            if state.refs.get(&edit.name) != edit.old.as_ref() {
                return Err(Error::new(ErrorKind::Conflict, "the reference is not where it is expected")
                    .with("name", &edit.name));
            }
            match edit.new {
                Some(new) if !self.has(new) => {
                    return Err(Error::new(ErrorKind::Corrupt, "the object is not there").with("id", new));
                }
                Some(new) => state.refs.insert(edit.name, new),
                None => state.refs.remove(&edit.name),
            };
        }
        if let Some(head) = change.head {
            state.head = head;
        }
        self.write(&state)
    }

    pub(super) fn check_out(&self, commit: ObjectId) -> Result<()> {
        Ok(fs::write(self.0.join(CHECKED_OUT), commit.to_string())?)
    }

    pub(super) fn checked_out(&self) -> Result<Option<ObjectId>> {
        match fs::read_to_string(self.0.join(CHECKED_OUT)) {
            Ok(text) => text.parse().map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn has(&self, id: ObjectId) -> bool {
        self.object(id).exists()
    }

    pub(super) fn add_objects(&self, ids: &BTreeSet<ObjectId>) -> Result<()> {
        for path in ids.iter().map(|id| self.object(*id)) {
            fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
            fs::write(path, b"")?;
        }
        Ok(())
    }

    fn object(&self, id: ObjectId) -> PathBuf {
        let hex = id.to_string();
        self.0.join("objects").join(&hex[..2]).join(&hex[2..])
    }
}
