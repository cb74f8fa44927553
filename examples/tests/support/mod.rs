//! Runs the examples as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns a command for an example, with a data directory of its own.
pub(crate) fn example(name: &str, data: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir(data).env("GITSYNC_DATA_DIR", data.join("data"));
    command
}

/// Cargo builds examples along with tests, but does not say where to.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    let directory = test.ancestors().nth(2).expect("tests are in target/PROFILE/deps");
    let program = directory.join("examples").join(name);
    assert!(program.exists(), "{} is not built; run cargo build --examples", program.display());
    program
}

/// Returns what a program printed, after checking that it ended well.
pub(crate) fn printed(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}
