//! What the engine does on disk itself: where things are, who may publish, and how things appear and vanish whole.
//!
//! ```text
//! {storage root}/{organisation}/{repository}     what is published
//! {storage root}/.gitsync/disk                   which disk it is
//! {storage root}/.gitsync/fence/{repository id}  who may publish; stays for ever
//! {storage root}/.gitsync/tmp/{task}-{fence}     clones in the making
//! {storage root}/.gitsync/journal/{repository}   swaps that take two renames
//! {storage root}/.gitsync/trash/{unique name}    what is being removed
//! {storage root}/.gitsync/aside/{repository}-{unique name}  what was replaced and could not be carried over; yours to remove
//! ```
//!
//! Slugs do not begin with a dot, so no organisation is in the way of `.gitsync`. All functions block.

mod adopt;
mod fence;
mod flock;
mod git_config;
mod identity;
mod layout;
mod locks;
mod manifest;
mod packs;
mod publish;
mod sync;

pub use adopt::adopt_objects;
pub use fence::{DiskFence, FenceGuard};
pub use git_config::{REMOTE_HEAD, is_configured, track_branch, write_git_config};
pub use layout::Storage;
pub use locks::remove_stale_locks;
pub(crate) use manifest::git_directory;
pub use manifest::{Manifest, Occupant};
pub use packs::{count_packs, remove_unfinished_packs};
pub use publish::{
    OldFiles, discard, journalled, move_to_trash, publish_new, remove_published, replace_published, replay_journal,
};
