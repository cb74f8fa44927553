//! Databases for tests: each test gets its own, on a Postgres server that all tests share.
//!
//! The server is that of `GITSYNC_TEST_POSTGRES_URL`, whose user may create databases, or one of the installed programs,
//! started by the first test and ended when no test has used it for a while, by a keeper that is a process of the test program:
//! put [`keeper!`] at the root of each.

mod database;
mod own;
mod place;
mod programs;
mod shared;

pub use database::{Database, execute, wait_for_a_lock};
pub use own::OwnServer;
#[doc(hidden)]
pub use shared::keep;

/// Defines the test that is not one: a process of the test program runs it to end the server when nobody uses it any more.
#[macro_export]
macro_rules! keeper {
    () => {
        #[test]
        fn keeper_of_postgres() {
            $crate::keep();
        }
    };
}
