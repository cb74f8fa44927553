//! What a push target says became of the changes.

use std::collections::HashMap;
use std::io::Read;

use gitsync_core::backend::{Pushed, RefEdit, RefusedRef};
use gitsync_core::source::redact;
use gitsync_core::transport::said_by_upstream;
use gitsync_core::{Error, ErrorKind, Result};

use super::commands::Features;
use crate::upstream::{read_data, read_packet};

/// How much of a reason is kept, in characters.
const MAX_REASON: usize = 200;

/// How many bytes are kept of what the hooks of a target print.
const MAX_REMARKS: usize = 4096;

/// Takes secrets out of a text.
pub(super) type Hide<'a> = dyn Fn(&str) -> String + 'a;

/// The report of a push target.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What it says of the objects: `ok`, or why it could not take them.
    unpacked: String,
    /// Why references were refused, by name; `None` for those that were changed.
    refs: HashMap<Vec<u8>, Option<String>>,
    /// What its hooks printed.
    remarks: String,
}

impl Report {
    /// Reads a report of at most `max_bytes`; `hide` takes secrets out of what is said in there.
    pub(super) fn read(reader: &mut impl Read, features: &Features, max_bytes: usize, hide: &Hide<'_>) -> Result<Self> {
        if !features.side_band {
            return Report::parse(&mut reader.take(max_bytes as u64), hide);
        }
        let (mut report, mut remarks, mut data) = (Vec::new(), Vec::new(), Vec::new());
        while read_data(reader, &mut data)? {
            match data.split_first() {
                Some((1, part)) if report.len() + part.len() <= max_bytes => report.extend_from_slice(part),
                Some((1, _)) => return Err(Error::new(ErrorKind::LimitExceeded, "the push target reports too much")),
                Some((2, part)) => remarks.extend(part.iter().take(MAX_REMARKS - remarks.len().min(MAX_REMARKS))),
                Some((3, said)) => return Err(said_by_upstream(&hide(&String::from_utf8_lossy(said)))),
                // Sent so that nobody takes it for dead.
                None => {}
                Some(_) => return Err(not_understood()),
            }
        }
        let remarks = text(&remarks, hide);
        Ok(Report { remarks, ..Report::parse(&mut &*report, hide)? })
    }

    fn parse(reader: &mut impl Read, hide: &Hide<'_>) -> Result<Self> {
        let (mut report, mut line) = (Report::default(), Vec::new());
        while read_packet(reader, &mut line)? {
            let at = line.iter().position(|byte| *byte == b' ').ok_or_else(not_understood)?;
            let (word, rest) = (&line[..at], &line[at + 1..]);
            match word {
                b"unpack" => report.unpacked = text(rest, hide),
                b"ok" => drop(report.refs.insert(rest.to_vec(), None)),
                b"ng" => {
                    // No name has a blank in it.
                    let at = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
                    report.refs.insert(rest[..at].to_vec(), Some(text(rest.get(at + 1..).unwrap_or_default(), hide)));
                }
                _ => return Err(not_understood()),
            }
        }
        Ok(report)
    }

    /// Returns what was done of the changes that were asked for.
    ///
    /// # Errors
    /// [`ErrorKind::SourceUnreachable`] if the target could not take the objects, [`ErrorKind::Corrupt`] if it says nothing
    /// of a change.
    pub(super) fn outcome(mut self, edits: &[RefEdit]) -> Result<Pushed> {
        if self.unpacked != "ok" {
            let error = Error::new(ErrorKind::SourceUnreachable, "the push target could not take the objects")
                .with("answer", &self.unpacked);
            return Err(if self.remarks.is_empty() { error } else { error.with("remarks", &self.remarks) });
        }
        let mut pushed = Pushed::default();
        for edit in edits {
            match self.refs.remove(edit.name.as_bytes()) {
                Some(None) if edit.new.is_some() => pushed.updated += 1,
                Some(None) => pushed.deleted += 1,
                Some(Some(reason)) => pushed.refused.push(RefusedRef { name: edit.name.clone(), reason }),
                None => {
                    let message = "the push target says nothing of a reference that it was to change";
                    return Err(Error::new(ErrorKind::Corrupt, message).with("name", &edit.name));
                }
            }
        }
        Ok(pushed)
    }
}

fn text(bytes: &[u8], hide: &Hide<'_>) -> String {
    redact(&hide(&String::from_utf8_lossy(bytes))).trim().chars().take(MAX_REASON).collect()
}

fn not_understood() -> Error {
    Error::new(ErrorKind::Corrupt, "the push target's report makes no sense")
}

#[cfg(test)]
mod tests {
    use gitsync_core::model::{ObjectId, RefName};

    use super::*;
    use crate::upstream::packet;

    fn edit(name: &str, new: bool) -> RefEdit {
        let id = ObjectId::Sha1([1; 20]);
        let name = RefName::new(name).unwrap();
        RefEdit { name, old: (!new).then_some(id), new: new.then_some(id) }
    }

    fn lines(lines: &[&str]) -> Vec<u8> {
        lines.iter().flat_map(|line| packet(line.as_bytes())).chain(*b"0000").collect()
    }

    fn outcome(report: &[&str], edits: &[RefEdit]) -> Result<Pushed> {
        Report::parse(&mut &*lines(report), &str::to_owned)?.outcome(edits)
    }

    #[test]
    fn each_reference_is_reported_on() {
        let edits = [edit("refs/heads/old", false), edit("refs/heads/a", true), edit("refs/heads/b", true)];
        let said = ["unpack ok", "ng refs/heads/b pre-receive hook declined", "ok refs/heads/a", "ok refs/heads/old"];
        let pushed = outcome(&said, &edits).unwrap();
        assert_eq!((pushed.updated, pushed.deleted), (1, 1));
        assert_eq!(pushed.refused.len(), 1);
        assert_eq!(pushed.refused[0].name.as_bytes(), b"refs/heads/b");
        assert_eq!(pushed.refused[0].reason, "pre-receive hook declined");
        // One that was not asked about counts for nothing, and one without a word is an error.
        assert_eq!(outcome(&["unpack ok", "ok refs/heads/x"], &[]).unwrap(), Pushed::default());
        assert_eq!(outcome(&said[..3], &edits).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn reasons_are_short_and_without_secrets() {
        let long = format!("ng refs/heads/a see https://me:s3cret@host/ {}", "x".repeat(1000));
        let refused = outcome(&["unpack ok", &long], &[edit("refs/heads/a", true)]).unwrap().refused;
        assert!(!refused[0].reason.contains("s3cret"), "{}", refused[0].reason);
        assert_eq!(refused[0].reason.chars().count(), MAX_REASON);
    }

    #[test]
    fn objects_that_are_not_taken_are_an_error() {
        let edits = [edit("refs/heads/a", true)];
        let error = outcome(&["unpack index-pack abnormal exit", "ng refs/heads/a unpacker error"], &edits);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
        assert!(error.context().any(|(_, value)| value == "index-pack abnormal exit"));
        for nonsense in [&["hello"][..], &["maybe refs/heads/a"]] {
            assert_eq!(outcome(nonsense, &edits).unwrap_err().kind(), ErrorKind::Corrupt, "{nonsense:?}");
        }
        assert_eq!(outcome(&["ok refs/heads/a"], &edits).unwrap_err().kind(), ErrorKind::SourceUnreachable);
    }

    #[test]
    fn what_hooks_print_is_apart_from_the_report() {
        let report = lines(&["unpack ok", "ok refs/heads/a"]);
        let band = |number: u8, text: &[u8]| [format!("{:04x}", text.len() + 5).as_bytes(), &[number], text].concat();
        let features = Features::with_side_band;
        // A line is cut anywhere, and line ends count.
        let banded = [band(2, b"hello\n"), band(1, &report[..12]), b"0004".to_vec(), band(1, &report[12..])].concat();
        let banded = [banded, b"0000".to_vec()].concat();
        let read = Report::read(&mut &*banded, &features(true), 1000, &str::to_owned).unwrap();
        assert_eq!(read.remarks, "hello");
        assert_eq!(read.outcome(&[edit("refs/heads/a", true)]).unwrap().updated, 1);
        assert_eq!(
            Report::read(&mut &*banded, &features(true), 20, &str::to_owned).unwrap_err().kind(),
            ErrorKind::LimitExceeded
        );
        assert!(Report::read(&mut &*report, &features(false), 1000, &str::to_owned).is_ok());
        let gives_up = [band(3, b"repository not found"), b"0000".to_vec()].concat();
        let error = Report::read(&mut &*gives_up, &features(true), 1000, &str::to_owned).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceNotFound);
        let cut = Report::read(&mut &banded[..banded.len() - 4], &features(true), 1000, &str::to_owned);
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::SourceUnreachable);
    }
}
