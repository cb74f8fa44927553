//! Ids that both sides give themselves: what they stand for is the same, their numbers need not be.

use std::collections::HashMap;
use std::fmt::Debug;

/// What the ids of the database under test are in the reference.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: HashMap<String, String>,
}

impl Ids {
    /// Notes that two ids are of the same thing.
    pub(crate) fn learn<T: Debug>(&mut self, of_reference: &T, of_subject: &T) {
        self.known.insert(format!("{of_subject:?}"), format!("{of_reference:?}"));
    }

    /// Writes a value of the database under test with the ids that the reference has.
    pub(crate) fn translate(&self, value: &impl Debug) -> String {
        let text = format!("{value:?}");
        let mut translated = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(begin) = ["RepositoryId(", "TaskId("].iter().filter_map(|kind| rest.find(kind)).min() {
            let end = rest[begin..].find(')').map_or(rest.len(), |length| begin + length + 1);
            let id = &rest[begin..end];
            translated.push_str(&rest[..begin]);
            translated.push_str(self.known.get(id).map_or(id, String::as_str));
            rest = &rest[end..];
        }
        translated + rest
    }
}

#[cfg(test)]
mod tests {
    use gitsync_core::model::{RepositoryId, TaskId};

    use super::*;

    #[test]
    fn only_known_ids_are_replaced() {
        let (ours, theirs, other) = (TaskId::generate(), TaskId::generate(), TaskId::generate());
        let mut ids = Ids::default();
        ids.learn(&ours, &theirs);
        ids.learn(&RepositoryId(1), &RepositoryId(2));
        ids.learn(&RepositoryId(2), &RepositoryId(1));
        let translated = ids.translate(&(RepositoryId(1), theirs, "x", RepositoryId(2), other, RepositoryId(12)));
        let expected = (RepositoryId(2), ours, "x", RepositoryId(1), other, RepositoryId(12));
        assert_eq!(translated, format!("{expected:?}"));
    }
}
