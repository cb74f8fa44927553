//! A directory with a server in it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::postgres::PgConnectOptions;

use crate::programs::Programs;

const USER: &str = "gitsync";

/// What a server does with what it was told to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing has to survive anything.
    None,
    /// What was committed survives an end without a warning.
    Committed,
    /// What was committed survives a loss of power, as with a server that is left as it was installed.
    Power,
}

/// The directory of a server, and who it belongs to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    /// Who the server runs as: Postgres refuses to run as root.
    owner: Option<(u32, u32)>,
}

impl Place {
    /// Takes a directory, which may be there already. The path has to be short, since it becomes that of a socket.
    pub(crate) fn at(directory: PathBuf) -> Self {
        let user = this_user();
        let owner = (user == 0).then(|| unprivileged().expect("there is a user `nobody` for Postgres to run as"));
        fs::create_dir_all(&directory).expect("a directory can be made");
        let owned_by = fs::symlink_metadata(&directory).expect("a directory").uid();
        let is_ours = owned_by == user || owner.is_some_and(|(owner, _)| owner == owned_by);
        assert!(is_ours, "{} belongs to somebody else", directory.display());
        Place { directory, owner }
    }

    /// How the server is reached, at its database of maintenance.
    pub(crate) fn address(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.directory).username(USER).database("postgres")
    }

    /// How another process reaches a database of the server.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@localhost/{database}?host={}", self.directory.display())
    }

    pub(crate) fn open(&self, name: &str) -> File {
        let path = self.directory.join(name);
        OpenOptions::new().create(true).truncate(false).write(true).open(path).expect("a file can be opened")
    }

    pub(crate) fn lock(&self, name: &str) -> File {
        let file = self.open(name);
        file.lock().expect("a file can be locked");
        file
    }

    pub(crate) fn runs(&self) -> bool {
        let programs = Programs::find();
        self.data().join("PG_VERSION").exists() && self.run(&programs.pg_ctl, &["status", "-D", &self.data_text()])
    }

    /// Makes the files of a new server.
    pub(crate) fn initialize(&self) {
        let data = self.data();
        fs::create_dir_all(&data).expect("a directory can be made");
        fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("a mode can be set");
        if let Some((user, group)) = self.owner {
            // The socket is made in the one, the rest in the other.
            for directory in [&self.directory, &data] {
                chown(directory, Some(user), Some(group)).expect("root can give files away");
            }
        }
        let arguments = ["-D", &self.data_text(), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"];
        let made = self.run(&Programs::find().initdb, &arguments);
        assert!(made, "initdb failed; see {}/log", self.directory.display());
    }

    /// Starts the server on its files and returns once it takes connections.
    pub(crate) fn start(&self, durability: Durability) {
        // The machine itself does not fail during a test.
        let fast = "-c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=64MB \
                    -c max_wal_size=256MB -c wal_level=minimal -c max_wal_senders=0";
        let settings = match durability {
            Durability::None => format!("{fast} -c synchronous_commit=off"),
            Durability::Committed => fast.to_owned(),
            Durability::Power => String::new(),
        };
        let options = format!("-k {} -c listen_addresses='' {settings}", self.directory.display());
        let (data, log) = (self.data_text(), self.data().join("server.log").display().to_string());
        let arguments = ["start", "-w", "-t", "60", "-D", &data, "-l", &log, "-o", &options];
        assert!(self.run(&Programs::find().pg_ctl, &arguments), "Postgres does not start; see {log}");
    }

    /// Ends the server without a warning, if it runs. The files stay.
    pub(crate) fn stop(&self) {
        self.run(&Programs::find().pg_ctl, &["stop", "-m", "immediate", "-D", &self.data_text()]);
    }

    /// Removes the files of the server, also half of them.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(self.data());
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn data_text(&self) -> String {
        self.data().display().to_string()
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
}

/// The user of this process.
pub(crate) fn this_user() -> u32 {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    fs::metadata(temporary.path()).expect("its owner").uid()
}

/// The user and the group `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = users.lines().find(|line| line.starts_with("nobody:"))?;
    let mut fields = user.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
