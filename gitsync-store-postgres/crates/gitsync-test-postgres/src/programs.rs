//! The installed programs of Postgres.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) initdb: PathBuf,
    pub(crate) pg_ctl: PathBuf,
}

impl Programs {
    /// Finds the programs where they are on the path, where `pg_config` says and where distributions put them.
    ///
    /// # Panics
    /// If they are not installed.
    pub(crate) fn find() -> Self {
        let found = places().into_iter().find_map(|directory| {
            let program = |name| Some(directory.join(name)).filter(|path| path.is_file());
            program("postgres")?;
            Some(Programs { initdb: program("initdb")?, pg_ctl: program("pg_ctl")? })
        });
        found.expect(
            "Postgres is missing: run scripts/test, or install it (apt: postgresql, brew: postgresql@16), or give the \
             address of a server in GITSYNC_TEST_POSTGRES_URL",
        )
    }
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    places.extend(versions("/usr/lib/postgresql").map(|directory| directory.join("bin")));
    for directory in ["/opt/homebrew/opt", "/usr/local/opt"] {
        places.extend(versions(directory).filter(|path| is_postgres(path)).map(|path| path.join("bin")));
    }
    places
}

fn is_postgres(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("postgresql@"))
}

/// The directories in one, the last name first.
fn versions(directory: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().rev()
}
