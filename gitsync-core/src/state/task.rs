//! The status of a task.

super::status! {
    /// Where a task is in its life.
    TaskStatus {
        /// Waits for a worker, for its next attempt, or for the running task of its repository.
        Pending = "pending",
        /// A worker is at it.
        Running = "running",
        /// It did what it was asked for.
        Completed = "completed",
        /// It ended with an error and will not be tried again.
        Failed = "failed",
        /// It was cancelled, or another task took its place.
        Cancelled = "cancelled",
    }
    transitions {
        Pending => [Running, Cancelled],
        // Running again is a redelivery after a crash, at a higher epoch; pending is a retry or a shutdown.
        Running => [Running, Pending, Completed, Failed, Cancelled],
        Completed => [],
        Failed => [],
        Cancelled => [],
    }
}

impl TaskStatus {
    /// Tells whether the task has ended and will never change again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::TaskStatus::{self, *};

    /// Every pair of statuses, with the verdict written out by hand.
    #[test]
    fn all_twenty_five_moves_are_decided() {
        let verdicts = [
            (Pending, [false, true, false, false, true]),
            (Running, [true, true, true, true, true]),
            (Completed, [false; 5]),
            (Failed, [false; 5]),
            (Cancelled, [false; 5]),
        ];
        for (from, row) in verdicts {
            for (to, allowed) in TaskStatus::ALL.iter().zip(row) {
                assert_eq!(from.may_become(*to), allowed, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_terminal_status_has_no_way_out() {
        for status in TaskStatus::ALL {
            let has_way_out = TaskStatus::TRANSITIONS.iter().any(|(from, _)| from == status);
            assert_eq!(status.is_terminal(), !has_way_out, "{status}");
        }
    }
}
