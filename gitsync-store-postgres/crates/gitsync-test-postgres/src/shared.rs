//! The server that all tests share, also those of other processes.
//!
//! It lives in a directory of the temporary directory, with a socket and no port. Two files there are locked: `start`, by
//! who starts it, ends it or makes something that is there once, and `users`, shared, by each test that uses it. A keeper, a
//! process of the test program, ends the server and removes its files when `users` has been free for a while. Locks go with
//! the processes that have them, so that it does not matter how a test ends.

use std::fs::{File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use crate::place::{Durability, Place, this_user};

/// Names the directory to the keeper.
const KEEPER: &str = "GITSYNC_TEST_POSTGRES_KEEPER";
/// The server to use in place of one of our own.
const GIVEN: &str = "GITSYNC_TEST_POSTGRES_URL";
/// How long the server is kept without a user.
const IDLE: Duration = Duration::from_secs(15);

/// A server in use: it is not ended before the value is dropped.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: PgConnectOptions,
    given: Option<String>,
    place: Place,
    _use: File,
}

impl Shared {
    /// Finds the server, or starts it.
    pub(crate) fn get() -> Self {
        let place = place();
        let _lock = place.lock("start");
        let users = place.open("users");
        users.lock_shared().expect("a file can be locked");
        let given = std::env::var(GIVEN).ok();
        let address = match &given {
            Some(url) => {
                PgConnectOptions::from_str(url).expect("GITSYNC_TEST_POSTGRES_URL is postgres://user:password@host")
            }
            None => {
                if !place.runs() {
                    place.stop();
                    place.remove();
                    place.initialize();
                    place.start(Durability::None);
                }
                if !keeper_lives(&place) {
                    start_keeper(&place);
                }
                place.address()
            }
        };
        Shared { address, given, place, _use: users }
    }

    /// Returns the address of a database for other processes.
    pub(crate) fn url(&self, database: &str) -> String {
        match &self.given {
            Some(given) => with_database(given, database),
            None => self.place.url(database),
        }
    }

    /// Keeps all other tests from starting, or making what is there once, until it is dropped.
    pub(crate) fn lock(&self) -> File {
        self.place.lock("start")
    }
}

/// Returns the address of another database on the same server.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, String::new()), |(a, p)| (a, format!("?{p}")));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    format!("{}/{database}{parameters}", &address[..end])
}

fn place() -> Place {
    // Not the directory for temporary files, which may be out of the reach of another user.
    Place::at(PathBuf::from(format!("/tmp/gitsync-test-postgres-{}", this_user())))
}

fn keeper_lives(place: &Place) -> bool {
    matches!(place.open("keeper").try_lock(), Err(TryLockError::WouldBlock))
}

fn start_keeper(place: &Place) {
    let program = std::env::current_exe().expect("the test program");
    let keeper = Command::new(program)
        .args(["--exact", "keeper_of_postgres"])
        .env(KEEPER, &place.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut keeper = keeper.expect("the keeper can be started");
    // It has its lock before the server is used, or the next test would start another one.
    while !keeper_lives(place) {
        if keeper.try_wait().expect("a child can be waited for").is_some() {
            place.stop();
            panic!("nobody keeps the server: is `gitsync_test_postgres::keeper!()` at the root of the test program?");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::spawn(move || keeper.wait());
}

/// What the keeper does. Without the environment that [`start_keeper`] gives it there is nothing to keep.
#[doc(hidden)]
pub fn keep() {
    if std::env::var_os(KEEPER).is_none() {
        return;
    }
    let place = place();
    let this = place.open("keeper");
    let Ok(()) = this.try_lock() else { return };
    let mut idle = Duration::ZERO;
    while idle < IDLE {
        const STEP: Duration = Duration::from_millis(500);
        std::thread::sleep(STEP);
        let is_free = place.open("users").try_lock().is_ok();
        idle = if is_free { idle + STEP } else { Duration::ZERO };
    }
    let _lock = place.lock("start");
    if place.open("users").try_lock().is_ok() {
        place.stop();
        place.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_another_database() {
        for (given, expected) in [
            ("postgres://me:pw@host", "postgres://me:pw@host/mine"),
            ("postgres://me:pw@host:5433/", "postgres://me:pw@host:5433/mine"),
            ("postgres://me@host/postgres?sslmode=disable", "postgres://me@host/mine?sslmode=disable"),
            ("postgres://me@/postgres?host=/tmp/a", "postgres://me@/mine?host=/tmp/a"),
        ] {
            assert_eq!(with_database(given, "mine"), expected);
        }
    }
}
