//! Reading references.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gitsync_core::backend::{Head, LocalRefs};
use gitsync_core::model::{ObjectFormat, ObjectId, RefName};
use gitsync_core::{Error, ErrorKind, Result};

use super::packed::PackedRefs;
use crate::files::read_optional;
use crate::repository::Repository;

/// How many symbolic references may follow one another: git's bound.
const MAX_SYMBOLIC_DEPTH: usize = 5;

/// What a loose reference holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loose {
    Id(ObjectId),
    Symbolic(Vec<u8>),
}

/// Reads all references and `HEAD`.
///
/// What git itself would not take for a reference (a dangling symbolic one, a bad name, nonsense in a file) is left out.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if `packed-refs` or `HEAD` cannot be understood.
pub fn read<O>(repository: &Repository<O>) -> Result<LocalRefs> {
    let (git_dir, format) = (repository.git_dir(), repository.format());
    // Loose ones first: `git pack-refs` writes the packed file before it removes loose ones, so none is missed.
    let loose = read_loose(git_dir, format)?;
    let packed = read_packed(git_dir, format)?;
    let names = packed.refs.keys().filter(|name| !loose.contains_key(*name)).chain(loose.keys());
    let mut refs: Vec<(RefName, ObjectId)> =
        names.filter_map(|name| Some((RefName::new(name.as_slice()).ok()?, follow(name, &loose, &packed)?))).collect();
    refs.sort_unstable();
    let mut shallow: Vec<ObjectId> = repository.shallow().iter().copied().collect();
    shallow.sort_unstable();
    Ok(LocalRefs { refs, head: read_head(git_dir, format)?, format, shallow })
}

/// Returns the id that a reference has or, if it is symbolic, leads to.
pub(super) fn follow(name: &[u8], loose: &BTreeMap<Vec<u8>, Loose>, packed: &PackedRefs) -> Option<ObjectId> {
    let mut name = name;
    for _ in 0..=MAX_SYMBOLIC_DEPTH {
        match loose.get(name) {
            Some(Loose::Id(id)) => return Some(*id),
            Some(Loose::Symbolic(target)) => name = target,
            None => return packed.refs.get(name).map(|entry| entry.id),
        }
    }
    None
}

pub(super) fn read_packed(git_dir: &Path, format: ObjectFormat) -> Result<PackedRefs> {
    PackedRefs::parse(&read_optional(&git_dir.join("packed-refs"))?.unwrap_or_default(), format)
}

pub(super) fn read_loose(git_dir: &Path, format: ObjectFormat) -> Result<BTreeMap<Vec<u8>, Loose>> {
    let mut found = BTreeMap::new();
    scan(&git_dir.join("refs"), b"refs", format, &mut found)?;
    Ok(found)
}

fn scan(dir: &Path, prefix: &[u8], format: ObjectFormat, found: &mut BTreeMap<Vec<u8>, Loose>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // Somebody else may remove empty directories meanwhile.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        let name = [prefix, b"/", entry.file_name().as_bytes()].concat();
        if entry.file_type()?.is_dir() {
            scan(&entry.path(), &name, format, found)?;
        } else if !name.ends_with(b".lock")
            && let Some(text) = read_optional(&entry.path())?
            && let Some(value) = parse_loose(&text, format)
        {
            found.insert(name, value);
        }
    }
    Ok(())
}

/// Understands a loose reference, or `HEAD`; `None` for nonsense.
pub(super) fn parse_loose(text: &[u8], format: ObjectFormat) -> Option<Loose> {
    if let Some(target) = text.strip_prefix(b"ref:") {
        return Some(Loose::Symbolic(target.trim_ascii().to_owned()));
    }
    let end = text.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(text.len());
    let id = ObjectId::from_hex(&text[..end]).ok().filter(|id| id.format() == format)?;
    Some(Loose::Id(id))
}

fn read_head(git_dir: &Path, format: ObjectFormat) -> Result<Head> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "the repository's HEAD cannot be understood");
    let text = read_optional(&git_dir.join("HEAD"))?.ok_or_else(corrupt)?;
    match parse_loose(&text, format).ok_or_else(corrupt)? {
        Loose::Id(id) => Ok(Head::Detached(id)),
        Loose::Symbolic(target) => Ok(Head::Branch(RefName::new(target).map_err(|error| corrupt().caused_by(error))?)),
    }
}
