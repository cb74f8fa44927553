//! Repositories: what is kept in step with upstream.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Depth, ObjectId, OrganisationId, RefName, RepositoryId, RepositoryName, Slug, StorageName, StoredError,
};
use crate::plan::RefPattern;
use crate::source::{CredentialRevision, HostKey, SourceUrl};
use crate::state::RepositoryStatus;

/// What kind of forge a source is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SourceType {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea.
    Gitea,
    /// Any other git server.
    #[default]
    Custom,
}

impl SourceType {
    /// Every type, in declaration order.
    pub const ALL: &[SourceType] = &[SourceType::GitHub, SourceType::GitLab, SourceType::Gitea, SourceType::Custom];

    /// Returns the stable lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            SourceType::GitHub => "github",
            SourceType::GitLab => "gitlab",
            SourceType::Gitea => "gitea",
            SourceType::Custom => "custom",
        }
    }

    /// Returns the type that has this stable name, if there is one.
    pub fn from_name(name: &str) -> Option<SourceType> {
        SourceType::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// Returns the type a caller named; an empty name is inferred from the source.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that is not known.
    pub fn from_request(name: &str, source: Option<&SourceUrl>) -> Result<SourceType> {
        if name.is_empty() {
            return Ok(source.map_or(SourceType::Custom, SourceType::infer));
        }
        SourceType::from_name(name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the source type is not known")
                .in_field("source_type")
                .with("source_type", name.escape_debug())
                .hint("use github, gitlab, gitea or custom, or leave it empty")
        })
    }

    /// Guesses the type from the host: that of the public service, or a label of the host name that says it.
    pub fn infer(source: &SourceUrl) -> SourceType {
        let host = source.host_key();
        let says = |forge: &str| host.as_str().split('.').any(|label| label == forge);
        SourceType::ALL.iter().copied().find(|forge| says(forge.as_str())).unwrap_or_default()
    }
}

/// The shape a repository has on disk. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Bare, and every reference follows upstream.
    Mirror,
    /// Bare; branches and tags follow upstream, if there is one.
    Bare,
    /// With a working tree, whose branch follows upstream's of the same name, forward only.
    Regular,
}

impl Layout {
    /// Every shape, in declaration order.
    pub const ALL: &[Layout] = &[Layout::Mirror, Layout::Bare, Layout::Regular];

    /// Returns the stable lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Layout::Mirror => "mirror",
            Layout::Bare => "bare",
            Layout::Regular => "regular",
        }
    }

    /// Returns the shape that has this stable name, if there is one.
    pub fn from_name(name: &str) -> Option<Layout> {
        Layout::ALL.iter().copied().find(|layout| layout.as_str() == name)
    }

    /// Decides the shape from what a caller asked for. Without a wish, a repository with a source is a mirror and one
    /// without is bare.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a mirror that is not bare, or that has no source.
    pub fn from_request(is_bare: Option<bool>, is_mirror: Option<bool>, has_source: bool) -> Result<Layout> {
        let contradiction = |message| Error::new(ErrorKind::InvalidInput, message).in_field("is_mirror");
        match (is_bare, is_mirror) {
            (Some(false), Some(true)) => Err(contradiction("a mirror is always bare")),
            (_, Some(true)) if !has_source => Err(contradiction("a mirror needs a source").hint("give a source_url")),
            (_, Some(true)) => Ok(Layout::Mirror),
            (Some(false), _) => Ok(Layout::Regular),
            (None, None) if has_source => Ok(Layout::Mirror),
            _ => Ok(Layout::Bare),
        }
    }
}

/// The status and error that a task or an archiving put aside, to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusBefore {
    /// The status.
    pub status: RepositoryStatus,
    /// The error shown with it.
    pub error: Option<StoredError>,
}

/// A repository: what the user decided about it, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// The id.
    pub id: RepositoryId,
    /// The organisation it belongs to.
    pub organisation: OrganisationId,
    /// Its name, unique within the organisation without regard to case. It never changes.
    pub name: RepositoryName,
    /// What it is, for people.
    pub description: String,
    /// Who created it.
    pub owner: String,
    /// Whether it may be read without a token where the service allows that.
    pub is_public: bool,
    /// The shape on disk.
    pub layout: Layout,
    /// The upstream, if there is one.
    pub source: Option<SourceUrl>,
    /// What kind of forge the source is on.
    pub source_type: SourceType,
    /// The disk it is on. It never changes.
    pub storage: StorageName,
    /// References of upstream that are left out.
    pub exclude_refs: Vec<RefPattern>,
    /// How much of upstream's history is fetched; `None` for all of it.
    pub depth: Option<Depth>,
    /// How often it is synced, if not as the engine sees fit.
    pub sync_interval: Option<Duration>,

    /// Where it is in its life.
    pub status: RepositoryStatus,
    /// Why it failed, or why the attempt before the next one did.
    pub error: Option<StoredError>,
    /// What unarchiving goes back to.
    pub before_archive: Option<StatusBefore>,
    /// The branch `HEAD` points to.
    pub default_branch: Option<RefName>,
    /// The commit `HEAD` leads to.
    pub last_commit: Option<ObjectId>,
    /// How many commits its branches and tags reach.
    pub total_commits: i64,
    /// How many branches and tags are recorded; a repository with none counts as not existing.
    pub recorded_refs: i64,
    /// The size on disk in bytes.
    pub size_bytes: i64,
    /// When the last sync completed.
    pub last_synced_at: Option<Timestamp>,
    /// When a sync last found something new.
    pub last_changed_at: Option<Timestamp>,
    /// When the next sync is due.
    pub next_sync_at: Option<Timestamp>,
    /// When upstream was first seen to have lost most of its references.
    pub shrank_at: Option<Timestamp>,
    /// The credentials that upstream refused: it is not synced on schedule until the source has others.
    pub refused_credentials: Option<CredentialRevision>,
    /// How many tasks in a row have failed.
    pub failures: u32,
    /// How many push targets it has.
    pub push_targets: u32,

    /// Raised by every start of a task, never reset: a write on behalf of another value is refused.
    pub fence: i64,
    /// The fence of the task that is recording commits; found set by another task it means that one crashed.
    pub recording: Option<i64>,
    /// Guards the fields a user edits.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last changed it.
    pub updated_at: Timestamp,
    /// When its deletion was requested; from then on it is hidden and its name reserved.
    pub deleted_at: Option<Timestamp>,
}

impl Repository {
    /// Returns the directory of the repository: derived from checked names, never taken from a caller.
    pub fn path(&self, storage_root: &Path, organisation: &Slug) -> PathBuf {
        storage_root.join(organisation.as_str()).join(self.name.as_str())
    }

    /// Returns what a limit per host counts this repository's syncs by.
    pub fn host_key(&self) -> HostKey {
        self.source.as_ref().map_or_else(HostKey::local, SourceUrl::host_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_follows_from_wishes_and_source() {
        let table = [
            (None, None, true, Some(Layout::Mirror)),
            (None, None, false, Some(Layout::Bare)),
            (Some(true), None, true, Some(Layout::Bare)),
            (Some(true), Some(true), true, Some(Layout::Mirror)),
            (None, Some(false), true, Some(Layout::Bare)),
            (Some(false), None, true, Some(Layout::Regular)),
            (Some(false), Some(false), false, Some(Layout::Regular)),
            (Some(false), Some(true), true, None),
            (None, Some(true), false, None),
        ];
        for (is_bare, is_mirror, has_source, expected) in table {
            match Layout::from_request(is_bare, is_mirror, has_source) {
                Ok(layout) => assert_eq!(Some(layout), expected, "{is_bare:?} {is_mirror:?} {has_source}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    assert_eq!(expected, None, "{is_bare:?} {is_mirror:?} {has_source}");
                }
            }
        }
    }

    #[test]
    fn layouts_and_source_types_are_found_by_their_names() {
        assert!(Layout::ALL.iter().all(|layout| Layout::from_name(layout.as_str()) == Some(*layout)));
        assert!(SourceType::ALL.iter().all(|known| SourceType::from_name(known.as_str()) == Some(*known)));
        assert_eq!(Layout::from_name("nonsense"), None);
    }

    #[test]
    fn an_empty_source_type_is_inferred_and_an_unknown_one_refused() {
        let infer = |text: &str| SourceType::from_request("", Some(&text.parse().unwrap())).unwrap();
        assert_eq!(infer("https://github.com/a/b"), SourceType::GitHub);
        assert_eq!(infer("git@gitlab.example.org:a/b"), SourceType::GitLab);
        assert_eq!(infer("https://gitea.com/a/b"), SourceType::Gitea);
        assert_eq!(infer("https://notgithub.com/a/b"), SourceType::Custom);
        assert_eq!(SourceType::from_request("", None).unwrap(), SourceType::Custom);
        assert_eq!(SourceType::from_request("gitlab", None).unwrap(), SourceType::GitLab);
        assert_eq!(SourceType::from_request("svn", None).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
