//! What the engines of gitsync do alike to a repository on disk: references, locks, the commit graph, the checks of what was
//! fetched.
//!
//! An engine brings a way to read [`Objects`]; what is decided from them is here, so that two engines cannot disagree.
//! Everything here blocks and belongs on a thread that may.

pub mod descend;
pub mod files;
pub mod graph;
mod haves;
mod id_map;
mod init;
mod links;
mod objects;
mod peel;
mod quarantine;
pub mod refs;
mod repository;
pub mod upstream;
mod walk;

pub use graph::Graph;
pub use haves::Haves;
pub use id_map::{IdHasher, IdMap, IdSet, IdState};
pub use init::init;
pub use links::links;
pub use objects::{Kind, Objects, read_commit};
pub use peel::{Peeled, peel, resolve};
pub use quarantine::Quarantine;
pub use repository::{Repository, find_git_dir, stored_format};
pub use walk::walk;
