//! What changes at a push target.

use std::collections::BTreeMap;

use super::RefMapping;
use crate::backend::{AdvertisedRef, RefEdit};
use crate::model::{ObjectId, RefName};

/// Returns what has to change at a push target so that of what the mapping manages it has exactly `refs`.
///
/// Deletions come first, so that `a` can make way for `a/b`; each part is sorted by name. What the mapping does not manage is
/// left alone, our own namespace in any case.
pub fn plan_push(mapping: &RefMapping, refs: &[(RefName, ObjectId)], advertised: &[AdvertisedRef]) -> Vec<RefEdit> {
    let managed = advertised.iter().filter(|there| mapping.manages(&there.name));
    let mut there: BTreeMap<&RefName, ObjectId> = managed.map(|there| (&there.name, there.id)).collect();
    let mut updates = Vec::new();
    for (name, new) in refs.iter().filter(|(name, _)| mapping.takes(name)) {
        let old = there.remove(name);
        if old != Some(*new) {
            updates.push(RefEdit { name: name.clone(), old, new: Some(*new) });
        }
    }
    updates.sort_by(|one, other| one.name.cmp(&other.name));
    let deletions = there.into_iter().map(|(name, old)| RefEdit { name: name.clone(), old: Some(old), new: None });
    deletions.chain(updates).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{MirrorKind, RefPattern};

    const MIRROR: RefMapping = RefMapping { kind: MirrorKind::Mirror, exclude: Vec::new() };
    const BARE: RefMapping = RefMapping { kind: MirrorKind::Bare, exclude: Vec::new() };

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    fn id(byte: u8) -> ObjectId {
        ObjectId::Sha1([byte; 20])
    }

    /// Writes the plan down: what is deleted with a minus.
    fn planned(mapping: &RefMapping, refs: &[(&str, u8)], advertised: &[(&str, u8)]) -> Vec<String> {
        let refs: Vec<_> = refs.iter().map(|(to, byte)| (name(to), id(*byte))).collect();
        let there = |(at, byte): &(&str, u8)| AdvertisedRef { name: name(at), id: id(*byte), peeled: None };
        let advertised: Vec<_> = advertised.iter().map(there).collect();
        let edits = plan_push(mapping, &refs, &advertised);
        for edit in &edits {
            let old = advertised.iter().find(|there| there.name == edit.name).map(|there| there.id);
            assert_eq!(edit.old, old, "the target refuses what is not told of what it has");
            assert_ne!(edit.old, edit.new);
        }
        let written = |edit: &RefEdit| format!("{}{}", if edit.new.is_some() { "" } else { "-" }, edit.name);
        edits.iter().map(written).collect()
    }

    #[test]
    fn a_target_gets_what_differs_and_deletions_come_first() {
        let ours = [("refs/heads/a/b", 1), ("refs/heads/main", 2), ("refs/heads/same", 3), ("refs/tags/new", 4)];
        let there = [("refs/heads/a", 1), ("refs/heads/main", 9), ("refs/heads/same", 3), ("refs/tags/old", 4)];
        let expected = ["-refs/heads/a", "-refs/tags/old", "refs/heads/a/b", "refs/heads/main", "refs/tags/new"];
        assert_eq!(planned(&MIRROR, &ours, &there), expected);
        assert!(planned(&MIRROR, &there, &there).is_empty());
    }

    #[test]
    fn what_is_not_managed_is_neither_sent_nor_deleted() {
        let odd = [("refs/gitsync/kept/20260101/1", 1), ("refs/notes/x", 2)];
        assert_eq!(planned(&MIRROR, &odd, &[]), ["refs/notes/x"]);
        assert_eq!(planned(&MIRROR, &[], &odd), ["-refs/notes/x"]);
        assert!(planned(&BARE, &odd, &[]).is_empty() && planned(&BARE, &[], &odd).is_empty());
    }

    #[test]
    fn what_is_excluded_goes_at_the_target_too() {
        let mapping = RefMapping { exclude: vec![RefPattern::new("refs/pull/*").unwrap()], ..MIRROR };
        let there = [("refs/pull/1/head", 1)];
        assert_eq!(planned(&mapping, &there, &there), ["-refs/pull/1/head"]);
    }
}
