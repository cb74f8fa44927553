//! The status of a repository.

super::status! {
    /// Where a repository is in its life.
    ///
    /// Only initialize, migrate and sync change it, when their work starts and ends; archiving and restoring are the
    /// user's. What a cancelled task or an unarchived repository goes back to is stored with it, so those moves are in the
    /// table as well.
    RepositoryStatus {
        /// Created; nothing is on disk yet.
        Pending = "pending",
        /// An empty repository is being made.
        Initializing = "initializing",
        /// Upstream is being cloned or fetched.
        Mirroring = "mirroring",
        /// Usable, and in step as of its last sync.
        Active = "active",
        /// The last task failed for good; the error is stored with it.
        Failed = "failed",
        /// Set aside by the user: not scheduled, refuses syncs.
        Archived = "archived",
    }
    transitions {
        Pending => [Initializing, Mirroring, Failed],
        // Busy to busy: a request rewrote the task that waits for its next attempt.
        Initializing => [Mirroring, Active, Failed],
        Mirroring => [Initializing, Active, Failed],
        Active => [Mirroring, Failed, Archived],
        Failed => [Initializing, Mirroring, Archived],
        Archived => [Active, Failed],
    }
}

impl RepositoryStatus {
    /// Tells whether a task is changing the repository, or waits to try again.
    pub const fn is_busy(self) -> bool {
        matches!(self, RepositoryStatus::Initializing | RepositoryStatus::Mirroring)
    }
}

#[cfg(test)]
mod tests {
    use super::RepositoryStatus::{self, *};
    use crate::ErrorKind;

    /// Every pair of statuses, with the verdict written out by hand.
    #[test]
    fn all_thirty_six_moves_are_decided() {
        let verdicts = [
            (Pending, [false, true, true, false, true, false]),
            (Initializing, [false, false, true, true, true, false]),
            (Mirroring, [false, true, false, true, true, false]),
            (Active, [false, false, true, false, true, true]),
            (Failed, [false, true, true, false, false, true]),
            (Archived, [false, false, false, true, true, false]),
        ];
        for (from, row) in verdicts {
            for (to, allowed) in RepositoryStatus::ALL.iter().zip(row) {
                assert_eq!(from.may_become(*to), allowed, "{from} to {to}");
                match from.check_move(*to) {
                    Ok(()) => assert!(allowed),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
            }
        }
    }

    #[test]
    fn busy_means_a_task_is_at_it() {
        let busy: Vec<_> = RepositoryStatus::ALL.iter().filter(|status| status.is_busy()).collect();
        assert_eq!(busy, [&Initializing, &Mirroring]);
    }
}
