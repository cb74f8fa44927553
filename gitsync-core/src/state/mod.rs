//! The statuses of repositories and tasks, and the moves between them.
//!
//! Each has one table, `TRANSITIONS`; everything else that knows the moves (checks, database constraints, diagrams) is
//! made from it.

mod repository;
mod task;

pub use repository::RepositoryStatus;
pub use task::TaskStatus;

/// Defines a status enum with stable names and its one transition table.
macro_rules! status {
    (
        $(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }
        transitions { $($from:ident => [$($to:ident),*]),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every status, in declaration order.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The moves that are allowed, as pairs of from and to.
            pub const TRANSITIONS: &[($name, $name)] = &[$($(($name::$from, $name::$to),)*)+];

            /// Returns the stable lower-case name.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// Returns the status that has this stable name, if there is one.
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|status| status.as_str() == name)
            }

            /// Tells whether a move to `next` is allowed.
            pub fn may_become(self, next: $name) -> bool {
                $name::TRANSITIONS.contains(&(self, next))
            }

            /// Checks a move.
            ///
            /// # Errors
            /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if the table does not have it.
            pub fn check_move(self, next: $name) -> crate::Result<()> {
                if self.may_become(next) {
                    return Ok(());
                }
                Err(crate::Error::new(
                    crate::ErrorKind::Conflict,
                    format!("{self} cannot become {next}"),
                ))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
use status;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for status in RepositoryStatus::ALL {
            assert_eq!(RepositoryStatus::from_name(status.as_str()), Some(*status));
        }
        for status in TaskStatus::ALL {
            assert_eq!(TaskStatus::from_name(status.as_str()), Some(*status));
        }
        let names: HashSet<_> = RepositoryStatus::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(names.len(), RepositoryStatus::ALL.len());
    }

    #[test]
    fn the_tables_list_each_move_once() {
        let moves: HashSet<_> = RepositoryStatus::TRANSITIONS.iter().collect();
        assert_eq!(moves.len(), RepositoryStatus::TRANSITIONS.len());
        let moves: HashSet<_> = TaskStatus::TRANSITIONS.iter().collect();
        assert_eq!(moves.len(), TaskStatus::TRANSITIONS.len());
    }
}
