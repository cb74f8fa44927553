//! Finding out whether a repository is whole: everything that its references lead to is there, and can be read.

use std::path::Path;

use super::Attempt;
use crate::engine::git_program::{Ended, GitCall};
use crate::error::{Error, ErrorKind, Result};
use crate::model::TaskKind;

/// How many findings are reported.
const MAX_FINDINGS: usize = 5;

/// How many findings are logged.
const MAX_LOGGED_FINDINGS: usize = 50;

impl Attempt {
    /// Verifies a repository that was found corrupt before it is synced: a sync that finds nothing to do would else call it
    /// good again.
    pub(super) async fn verify_what_was_corrupt(&self) -> Result<()> {
        if self.was_corrupt() { self.verify_if_possible().await } else { Ok(()) }
    }

    /// Verifies what was synced or cloned if that was asked for, or if the clone replaces what was found corrupt.
    pub(super) async fn verify_after_work(&self) -> Result<()> {
        let is_repair = self.started.task.kind == TaskKind::Migrate && self.was_corrupt();
        if self.started.task.parameters.verify || is_repair { self.verify_if_possible().await } else { Ok(()) }
    }

    /// Verifies, unless there is no git program to do it: then nothing can be said, and the task goes on.
    async fn verify_if_possible(&self) -> Result<()> {
        match self.verify().await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(%error, "the repository was not verified");
                self.progress.remark(&self.parts, self.started.work, format!("not verified: {error}")).await
            }
            verified => verified,
        }
    }

    /// Tells whether the repository was found corrupt before this task began.
    pub(super) fn was_corrupt(&self) -> bool {
        let before = self.started.task.status_before.as_ref().and_then(|before| before.error.as_ref());
        before.is_some_and(|error| error.kind == ErrorKind::Corrupt)
    }

    /// Checks that everything is there that the references lead to.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], with what is broken, if it is not; those of [`GitProgram::run`](crate::engine::git_program::GitProgram::run).
    pub(super) async fn verify(&self) -> Result<()> {
        self.progress.phase("verifying");
        let ended = self.check(&[]).await?;
        if is_sound(&ended) {
            return self.step("verified").await;
        }
        // Names of objects take memory, so they are asked for only where there is something to say.
        let named = self.check(&["--name-objects"]).await?;
        let findings = findings(if is_sound(&named) { &ended } else { &named }, &self.git_dir());
        for finding in findings.iter().take(MAX_LOGGED_FINDINGS) {
            tracing::warn!(finding, "the repository is broken");
        }
        Err(Error::new(ErrorKind::Corrupt, "the repository is broken")
            .with("findings", findings.len())
            .with("found", findings.into_iter().take(MAX_FINDINGS).collect::<Vec<_>>().join("; "))
            .hint("the files are left as they are; migrate with force to clone the repository anew"))
    }

    async fn check(&self, more: &[&str]) -> Result<Ended> {
        // The graph holds less of a date than a commit may have, and is not what counts.
        let check = ["-c", "core.commitGraph=false", "fsck", "--connectivity-only", "--no-dangling", "--no-progress"];
        self.git(GitCall::new(&self.git_dir(), &[&check, more].concat())).await
    }
}

/// Tells whether git found nothing. It does not count everything that it complains about as an error of its own.
fn is_sound(ended: &Ended) -> bool {
    ended.code == 0 && !ended.complaint.lines().any(is_complaint)
}

fn is_complaint(line: &str) -> bool {
    line.starts_with("error: ") || line.starts_with("fatal: ")
}

/// Returns what git found, each once: objects that are missing, with where they are missing, then what cannot be read.
fn findings(ended: &Ended, git_dir: &Path) -> Vec<String> {
    let missing = ended.output.lines().filter(|line| line.starts_with("missing "));
    let broken = ended.complaint.lines().filter(|line| is_complaint(line));
    let place = git_dir.display().to_string();
    let below = format!("{place}/");
    let mut findings: Vec<String> = Vec::new();
    for line in missing.chain(broken) {
        let line =
            line.trim_start_matches("error: ").trim_start_matches("fatal: ").replace(&below, "").replace(&place, ".");
        if !findings.contains(&line) {
            findings.push(line);
        }
    }
    if findings.is_empty() {
        findings.extend(ended.output.lines().chain(ended.complaint.lines()).take(1).map(str::to_owned));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, output: &str, complaint: &str) -> Ended {
        Ended { code, output: output.to_owned(), complaint: complaint.to_owned() }
    }

    #[test]
    fn a_complaint_is_a_finding_also_where_git_ends_well() {
        assert!(is_sound(&ended(0, "", "notice: HEAD points to an unborn branch (main)\n")));
        assert!(!is_sound(&ended(0, "", "error: object file objects/ab/cd is empty\n")));
        assert!(!is_sound(&ended(2, "missing blob ab\n", "")));
    }

    #[test]
    fn findings_are_told_once_without_where_the_repository_is() {
        let output = "broken link from    tree aa (refs/heads/main:)\n              to    blob bb\nmissing blob bb (refs/heads/main:f)\n";
        let complaint = "error: packfile /r/a.git/objects/pack/p.pack is short\nerror: packfile /r/a.git/objects/pack/p.pack is short\n\
            notice: No default references\nfatal: not a git repository: '/r/a.git'\n";
        let found = findings(&ended(3, output, complaint), Path::new("/r/a.git"));
        let expected = [
            "missing blob bb (refs/heads/main:f)",
            "packfile objects/pack/p.pack is short",
            "not a git repository: '.'",
        ];
        assert_eq!(found, expected);
        assert_eq!(findings(&ended(1, "odd\n", ""), Path::new("/r")), ["odd"]);
    }
}
