//! What the engines of gitsync do alike to a repository on disk: references, locks, the commit graph, the checks of what was
//! fetched.
//!
//! A git library becomes an engine by the trait [`Engine`]: it reads [`Objects`], lists and fetches. What is decided from that
//! is here, so that two engines cannot disagree, and [`Backend`] is what the core sees of any of them. Everything but that
//! one blocks and belongs on a thread that may.

mod backend;
mod boundary;
pub mod descend;
mod engine;
pub mod files;
mod fresh;
pub mod graph;
mod haves;
mod id_map;
mod init;
mod links;
mod objects;
mod pack_index;
mod peel;
mod push;
mod quarantine;
pub mod refs;
mod repository;
pub mod upstream;
mod walk;
mod worktree;

pub use backend::Backend;
pub use boundary::{Boundary, copy_shallow};
pub use engine::Engine;
pub use graph::Graph;
pub use haves::Haves;
pub use id_map::{IdHasher, IdMap, IdSet, IdState};
pub use init::init;
pub use links::links;
pub use objects::{Kind, Objects, read_commit};
pub use peel::{Peeled, peel, resolve};
pub use quarantine::Quarantine;
pub use repository::{Repository, find_git_dir, read_shallow, require_sha1, stored_format};
pub use walk::walk;
pub use worktree::{IndexEntry, Stat};
