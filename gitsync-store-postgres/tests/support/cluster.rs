//! The server that all tests share, also those of other processes.
//!
//! It lives in a directory of the temporary directory, with a socket and no port. Two files there are locked: `start`, by
//! who starts it, ends it or makes something that is there once, and `users`, shared, by each test that uses it. A keeper, a
//! process of the test program, ends the server and removes the directory when `users` has been free for a while. Locks go with the
//! processes that have them, so that it does not matter how a test ends.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::programs::Programs;

/// Names the directory to the keeper.
const KEEPER: &str = "GITSYNC_TEST_POSTGRES_KEEPER";
/// How long the server is kept without a user.
const IDLE: Duration = Duration::from_secs(15);
const USER: &str = "gitsync";

/// A server in use: it is not ended before the value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: PgConnectOptions,
    place: Place,
    _use: File,
}

impl Server {
    /// Finds the server, or starts it.
    pub(crate) async fn get() -> Self {
        let place = Place::of_this_user();
        let _lock = place.lock("start");
        let users = place.open("users");
        users.lock_shared().expect("a file can be locked");
        let address = match super::from_environment() {
            Some(address) => address,
            None => {
                if !place.runs() {
                    place.start();
                }
                if !place.keeper_lives() {
                    place.start_keeper();
                }
                PgConnectOptions::new_without_pgpass().socket(&place.directory).username(USER).database("postgres")
            }
        };
        Server { address, place, _use: users }
    }

    /// Keeps all other tests from starting, or making what is there once, until it is dropped.
    pub(crate) fn lock(&self) -> File {
        self.place.lock("start")
    }
}

/// The directory of the server, and who it belongs to.
#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// Who the server runs as: Postgres refuses to run as root.
    owner: Option<(u32, u32)>,
}

impl Place {
    fn of_this_user() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let user = fs::metadata(temporary.path()).expect("its owner").uid();
        // Short, because the path of a socket has to be, and reachable for another user.
        let directory = PathBuf::from(format!("/tmp/gitsync-test-postgres-{user}"));
        Place::at(directory, user)
    }

    fn at(directory: PathBuf, user: u32) -> Self {
        let owner = (user == 0).then(|| unprivileged().expect("there is a user `nobody` for Postgres to run as"));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let owned_by = fs::symlink_metadata(&directory).expect("a directory").uid();
        let is_ours = owned_by == user || owner.is_some_and(|(owner, _)| owner == owned_by);
        assert!(is_ours, "{} belongs to somebody else", directory.display());
        Place { directory, owner }
    }

    fn open(&self, name: &str) -> File {
        let path = self.directory.join(name);
        OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file can be opened")
    }

    fn lock(&self, name: &str) -> File {
        let file = self.open(name);
        file.lock().expect("a file can be locked");
        file
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Runs a program of Postgres to its end, and tells whether it succeeded.
    fn run(&self, program: &Path, arguments: &[&str]) -> bool {
        let log = File::options().create(true).append(true).open(self.directory.join("log")).expect("a log");
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.directory).env("LC_ALL", "C").env_remove("PGHOST");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        // A test that is ended with its group must not take the server along.
        command.process_group(0);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command.status().is_ok_and(|status| status.success())
    }

    fn runs(&self) -> bool {
        let programs = Programs::find();
        self.data().join("PG_VERSION").exists()
            && self.run(&programs.pg_ctl, &["status", "-D", &self.data().display().to_string()])
    }

    fn keeper_lives(&self) -> bool {
        matches!(self.open("keeper").try_lock(), Err(TryLockError::WouldBlock))
    }

    fn start(&self) {
        let programs = Programs::find();
        self.stop(&programs);
        let data = self.data();
        fs::create_dir_all(&data).expect("a directory can be made");
        fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("a mode can be set");
        if let Some((user, group)) = self.owner {
            // The socket is made in the one, the rest in the other.
            for directory in [&self.directory, &data] {
                chown(directory, Some(user), Some(group)).expect("root can give files away");
            }
        }
        let data = data.display().to_string();
        let made =
            self.run(&programs.initdb, &["-D", &data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        assert!(made, "initdb failed; see {}/log", self.directory.display());
        // Nothing here has to survive anything.
        let options = format!(
            "-k {} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
             -c max_connections=300 -c shared_buffers=64MB -c max_wal_size=256MB -c wal_level=minimal -c max_wal_senders=0",
            self.directory.display()
        );
        let server_log = self.data().join("server.log").display().to_string();
        let started =
            self.run(&programs.pg_ctl, &["start", "-w", "-t", "60", "-D", &data, "-l", &server_log, "-o", &options]);
        assert!(started, "Postgres does not start; see {server_log}");
    }

    /// Ends what is there, also half of a server.
    fn stop(&self, programs: &Programs) {
        let data = self.data().display().to_string();
        self.run(&programs.pg_ctl, &["stop", "-m", "immediate", "-D", &data]);
        let _ = fs::remove_dir_all(&data);
    }

    fn start_keeper(&self) {
        let program = std::env::current_exe().expect("the test program");
        let keeper = Command::new(program)
            .args(["--exact", "support::cluster::keeper", "--nocapture"])
            .env(KEEPER, &self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut keeper = keeper.expect("the keeper can be started");
        std::thread::spawn(move || keeper.wait());
        // It has its lock before the server is used, or the next test would start another one.
        for _ in 0..10_000 {
            if self.keeper_lives() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The user and the group `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = users.lines().find(|line| line.starts_with("nobody:"))?;
    let mut fields = user.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Not a test: what the keeper does. Without the environment that [`Place::start_keeper`] gives it there is nothing to keep.
#[test]
fn keeper() {
    let Some(directory) = std::env::var_os(KEEPER) else { return };
    let place = Place::of_this_user();
    assert_eq!(place.directory, PathBuf::from(directory));
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
        place.stop(&Programs::find());
    }
}
