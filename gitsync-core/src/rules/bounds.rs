//! How much users may write.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::plan::RefPattern;
use crate::store::{NewRepository, RepositoryPatch};

/// The most bytes of an organisation's name.
pub const MAX_ORGANISATION_NAME_BYTES: usize = 255;

/// The most bytes of a repository's description.
pub const MAX_DESCRIPTION_BYTES: usize = 4_096;

/// The most bytes of a repository's owner.
pub const MAX_OWNER_BYTES: usize = 255;

/// The most patterns of references that a repository leaves out.
pub const MAX_EXCLUDE_REFS: usize = 100;

/// The most bytes of one of those patterns.
pub const MAX_EXCLUDE_REF_BYTES: usize = 1_024;

/// The shortest interval that a repository may have of its own.
pub const MIN_SYNC_INTERVAL: Duration = Duration::from_secs(60);

/// The longest interval that a repository may have of its own.
pub const MAX_SYNC_INTERVAL: Duration = Duration::from_secs(365 * 24 * 3600);

/// Checks the name of an organisation.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if it is longer than [`MAX_ORGANISATION_NAME_BYTES`].
pub fn check_organisation_name(name: &str) -> Result<()> {
    check_bytes("name", name, MAX_ORGANISATION_NAME_BYTES)
}

/// Checks what a user writes of a new repository.
pub(super) fn check_new(new: &NewRepository) -> Result<()> {
    check_bytes("description", &new.description, MAX_DESCRIPTION_BYTES)?;
    check_bytes("owner", &new.owner, MAX_OWNER_BYTES)?;
    check_patterns(&new.exclude_refs)
}

/// Checks what a user changes of a repository.
pub(super) fn check_patch(patch: &RepositoryPatch) -> Result<()> {
    check_bytes("description", patch.description.as_deref().unwrap_or_default(), MAX_DESCRIPTION_BYTES)?;
    check_bytes("owner", patch.owner.as_deref().unwrap_or_default(), MAX_OWNER_BYTES)?;
    check_patterns(patch.exclude_refs.as_deref().unwrap_or_default())?;
    match patch.sync_interval.flatten() {
        Some(interval) if !(MIN_SYNC_INTERVAL..=MAX_SYNC_INTERVAL).contains(&interval) => {
            Err(Error::new(ErrorKind::InvalidInput, "sync_interval is between 1 minute and 365 days")
                .in_field("sync_interval")
                .with("seconds", interval.as_secs_f64()))
        }
        _ => Ok(()),
    }
}

fn check_patterns(patterns: &[RefPattern]) -> Result<()> {
    if patterns.len() > MAX_EXCLUDE_REFS {
        let message = format!("exclude_refs has at most {MAX_EXCLUDE_REFS} patterns");
        let error = Error::new(ErrorKind::InvalidInput, message).in_field("exclude_refs");
        return Err(error.with("given", patterns.len()));
    }
    patterns.iter().try_for_each(|pattern| check_bytes("exclude_refs", pattern.as_str(), MAX_EXCLUDE_REF_BYTES))
}

fn check_bytes(field: &'static str, text: &str, most: usize) -> Result<()> {
    if text.len() <= most {
        return Ok(());
    }
    let message = format!("{field} has at most {most} bytes");
    Err(Error::new(ErrorKind::InvalidInput, message).in_field(field).with("given", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(patch: RepositoryPatch) -> std::result::Result<(), String> {
        check_patch(&patch).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        })
    }

    #[test]
    fn an_interval_is_neither_too_short_nor_too_long() {
        let set = |interval| verdict(RepositoryPatch { sync_interval: Some(interval), ..RepositoryPatch::default() });
        let bit = Duration::from_micros(1);
        for good in [None, Some(MIN_SYNC_INTERVAL), Some(MAX_SYNC_INTERVAL)] {
            assert_eq!(set(good), Ok(()));
        }
        for bad in [Duration::ZERO, MIN_SYNC_INTERVAL - bit, MAX_SYNC_INTERVAL + bit, Duration::MAX] {
            assert!(set(Some(bad)).unwrap_err().contains("1 minute and 365 days"), "{bad:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_named_with_its_limit() {
        let text = |length| Some("x".repeat(length));
        let description = |length| RepositoryPatch { description: text(length), ..RepositoryPatch::default() };
        assert_eq!(verdict(description(4_096)), Ok(()));
        assert!(verdict(description(4_097)).unwrap_err().contains("description has at most 4096 bytes"));
        let owner = |length| RepositoryPatch { owner: text(length), ..RepositoryPatch::default() };
        assert_eq!(verdict(owner(255)), Ok(()));
        assert!(verdict(owner(256)).unwrap_err().contains("owner has at most 255 bytes"));
        let pattern = |length: usize| RefPattern::new(format!("refs/{}", "x".repeat(length - 5))).unwrap();
        let exclude = |patterns| RepositoryPatch { exclude_refs: Some(patterns), ..RepositoryPatch::default() };
        assert_eq!(verdict(exclude(vec![pattern(1_024); 100])), Ok(()));
        assert!(verdict(exclude(vec![pattern(1_025)])).unwrap_err().contains("exclude_refs has at most 1024 bytes"));
        assert!(verdict(exclude(vec![pattern(6); 101])).unwrap_err().contains("at most 100 patterns"));
    }
}
