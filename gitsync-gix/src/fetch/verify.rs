//! Is everything there that was asked for?

use std::path::Path;

use gitsync_core::Result;
use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;
use gitsync_repository::descend::{descend, missing};
use gitsync_repository::{Boundary, Objects as _, Quarantine};

use super::closed::is_closed;
use crate::odb::Odb;
use crate::open::Repository;
use crate::options::GixOptions;

/// Checks that each root is there, and everything that it leads to down to the boundary. The roots are the wants and what is at
/// the boundary no more.
pub(super) fn verify(
    repository: &Repository,
    quarantine: &Quarantine,
    index: Option<&Path>,
    roots: &[ObjectId],
    boundary: &Boundary,
    limits: &CallLimits,
    options: &GixOptions,
) -> Result<()> {
    let new = Odb::open(quarantine.dir(), repository.format())?;
    if let Some(root) = roots.iter().find(|root| !new.exists(root) && !repository.objects().exists(root)) {
        return Err(missing(root));
    }
    match index {
        // Not closed is seldom and may be right: a server sent more than was asked for, and what the surplus names is missing.
        // Nothing more comes in there: no look at the disk for each id that is not new.
        Some(index) if !is_closed(repository, index, boundary.ids(), limits, options)? => {
            descend(repository, &new.that_never_refreshes(), roots, boundary.ids(), limits)
        }
        _ => Ok(()),
    }
}
