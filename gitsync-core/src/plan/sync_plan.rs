//! The plan of one sync.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Movement, MovementKind, RefMapping};
use crate::backend::{Advertisement, Head, LocalRefs, RefEdit, RefTransaction};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, RefName};

/// The branches and tags that the last finished task recorded, unpeeled.
pub type Baseline = BTreeMap<RefName, ObjectId>;

/// An old tip of a branch or tag that a sync would leave without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtRisk {
    /// The branch or tag.
    pub name: RefName,
    /// The old tip.
    pub old: ObjectId,
    /// The new one, `None` if the reference goes.
    pub new: Option<ObjectId>,
}

/// What a sync does. Made by [`plan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// The changes of references on disk, sorted by name.
    pub edits: Vec<RefEdit>,
    /// Where `HEAD` points afterwards, if that changes.
    pub head: Option<Head>,
    /// The advertised ids that no local reference has, each once: what to fetch.
    pub wants: Vec<ObjectId>,
    /// Every advertised id that is taken over, each once: what to fetch where the depth is limited, since the boundary is
    /// counted from all tips.
    pub tips: Vec<ObjectId>,
    /// Old tips, on disk or recorded, that lose their branch or tag.
    pub at_risk: Vec<AtRisk>,
    /// Branches and tags that differ from the baseline: name, recorded id, advertised id.
    pub moved: Vec<(RefName, Option<ObjectId>, Option<ObjectId>)>,
    /// The references of our namespace that are there already.
    kept: Baseline,
}

/// What is known of the objects once they are fetched.
#[derive(Clone, Debug, Default)]
pub struct ObjectFacts {
    /// The pairs (old, new) in which `old` is `new` or an ancestor of it.
    pub fast_forwards: HashSet<(ObjectId, ObjectId)>,
    /// Old tips that are no longer on disk: there is nothing to keep.
    pub missing: HashSet<ObjectId>,
}

/// Decides what a sync does.
///
/// References outside the mapping are left alone; those in gitsync's namespace are never touched. `HEAD` follows
/// upstream, and stays where it is if upstream said nothing about it or points it into our namespace.
///
/// # Errors
pub fn plan(
    mapping: &RefMapping,
    baseline: &Baseline,
    local: &LocalRefs,
    advertised: &Advertisement,
) -> Result<SyncPlan> {
    let wanted: BTreeMap<&RefName, ObjectId> =
        advertised.refs.iter().filter(|r| mapping.takes(&r.name)).map(|r| (&r.name, r.id)).collect();
    check_names(&wanted)?;
    let managed: BTreeMap<&RefName, ObjectId> =
        local.refs.iter().filter(|(name, _)| mapping.manages(name)).map(|(name, id)| (name, *id)).collect();
    let recorded: BTreeMap<&RefName, ObjectId> = baseline.iter().map(|(name, id)| (name, *id)).collect();

    let head = head_of(advertised);
    let changes = differences(&managed, &wanted);
    let moved = differences(&recorded, &wanted).into_iter().filter(|(name, ..)| is_history(name));
    let moved: Vec<_> = moved.map(|(name, old, new)| (name.clone(), old, new)).collect();
    Ok(SyncPlan {
        wants: wants(local, &wanted, head),
        tips: tips(&wanted, head),
        at_risk: at_risk(&changes, &moved),
        edits: changes.into_iter().map(|(name, old, new)| RefEdit { name: name.clone(), old, new }).collect(),
        head: head.filter(|head| **head != local.head).cloned(),
        moved,
        kept: local.refs.iter().filter(|(name, _)| name.is_reserved()).cloned().collect(),
    })
}

impl SyncPlan {
    /// Tells whether upstream, disk and records already agree.
    pub fn is_noop(&self) -> bool {
        self.edits.is_empty() && self.head.is_none() && self.moved.is_empty()
    }

    /// Returns the pairs (old, new) of branch tips whose ancestry decides what is a fast-forward, each once.
    pub fn ancestry_questions(&self) -> BTreeSet<(ObjectId, ObjectId)> {
        let at_risk = self.at_risk.iter().filter(|risk| risk.name.is_branch());
        let at_risk = at_risk.filter_map(|risk| Some((risk.old, risk.new?)));
        let moved = self.moved.iter().filter(|(name, ..)| name.is_branch());
        at_risk.chain(moved.filter_map(|(_, old, new)| Some(((*old)?, (*new)?)))).collect()
    }

    /// Returns the old tips that are to be kept: those that are at risk and there, and not part of the new tip.
    pub fn lost_tips(&self, facts: &ObjectFacts) -> BTreeSet<ObjectId> {
        let there = self.at_risk.iter().filter(|risk| !facts.missing.contains(&risk.old));
        let lost = there
            .filter(|risk| movement_kind(&risk.name, Some(risk.old), risk.new, facts) != MovementKind::FastForward);
        lost.map(|risk| risk.old).collect()
    }

    /// Returns the reference transaction: the edits, and a kept reference for each tip that would be lost.
    ///
    /// `day` is the UTC day as `YYYYMMDD`; it dates the kept references.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `day` cannot be part of a reference name.
    pub fn publish(&self, facts: &ObjectFacts, day: &str) -> Result<RefTransaction> {
        let lost = self.lost_tips(facts);
        let mut edits = Vec::with_capacity(lost.len() + self.edits.len());
        for old in lost {
            let name = kept_name(day, old)?;
            // A kept reference names the id it holds; one that was moved by hand is put right.
            let present = self.kept.get(&name).copied();
            if present != Some(old) {
                edits.push(RefEdit { name, old: present, new: Some(old) });
            }
        }
        edits.extend(self.edits.iter().cloned());
        Ok(RefTransaction { edits, head: self.head.clone(), shallow: None })
    }

    /// Returns what the reference log records, in the order of names.
    pub fn movements(&self, facts: &ObjectFacts) -> Vec<Movement> {
        let movement = |(name, old, new): &(RefName, Option<ObjectId>, Option<ObjectId>)| Movement {
            name: name.clone(),
            old: *old,
            new: *new,
            kind: movement_kind(name, *old, *new, facts),
        };
        self.moved.iter().map(movement).collect()
    }
}

/// Returns the name under which a tip is kept.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if `day` cannot be part of a reference name.
pub fn kept_name(day: &str, tip: ObjectId) -> Result<RefName> {
    RefName::new(format!("refs/gitsync/kept/{day}/{tip}"))
}

/// Tells whether the reference is one whose commits are recorded and whose old tips are kept.
fn is_history(name: &RefName) -> bool {
    name.is_branch() || name.is_tag()
}

/// Says how a reference moved. A tag that moved was always forced, whatever it points to.
fn movement_kind(name: &RefName, old: Option<ObjectId>, new: Option<ObjectId>, facts: &ObjectFacts) -> MovementKind {
    match (old, new) {
        (None, _) => MovementKind::Created,
        (Some(_), None) => MovementKind::Deleted,
        (Some(old), Some(new)) if name.is_branch() && facts.fast_forwards.contains(&(old, new)) => {
            MovementKind::FastForward
        }
        (Some(_), Some(_)) => MovementKind::Forced,
    }
}

type Difference<'a> = (&'a RefName, Option<ObjectId>, Option<ObjectId>);

/// Lists the names whose ids differ, sorted, with the id before and after.
fn differences<'a>(
    before: &BTreeMap<&'a RefName, ObjectId>,
    after: &BTreeMap<&'a RefName, ObjectId>,
) -> Vec<Difference<'a>> {
    let names: BTreeSet<&RefName> = before.keys().chain(after.keys()).copied().collect();
    let difference = |name| (name, before.get(name).copied(), after.get(name).copied());
    names.into_iter().map(difference).filter(|(_, old, new)| old != new).collect()
}

/// Lists the old tips that lose their branch or tag: those on disk, and those recorded, which differ from disk after a
/// crash or a change by hand.
fn at_risk(changes: &[Difference<'_>], moved: &[(RefName, Option<ObjectId>, Option<ObjectId>)]) -> Vec<AtRisk> {
    let on_disk = changes.iter().map(|(name, old, new)| (*name, *old, *new));
    let recorded = moved.iter().map(|(name, old, new)| (name, *old, *new));
    let all = on_disk.filter(|(name, ..)| is_history(name)).chain(recorded);
    let unique: BTreeSet<_> = all.filter_map(|(name, old, new)| Some((name, old?, new))).collect();
    unique.into_iter().map(|(name, old, new)| AtRisk { name: name.clone(), old, new }).collect()
}

/// Returns where `HEAD` is after a sync: where upstream says, or where it was.
pub fn head_after(advertised: &Advertisement, before: &Head) -> Head {
    head_of(advertised).unwrap_or(before).clone()
}

/// Returns where upstream points `HEAD`, unless that is our namespace.
fn head_of(advertised: &Advertisement) -> Option<&Head> {
    advertised.head.as_ref().filter(|head| !matches!(head, Head::Branch(name) if name.is_reserved()))
}

/// Lists the ids that no local reference has. A detached `HEAD` may be at a commit that no advertised reference names.
fn wants(local: &LocalRefs, wanted: &BTreeMap<&RefName, ObjectId>, head: Option<&Head>) -> Vec<ObjectId> {
    let mut have: HashSet<ObjectId> = local.refs.iter().map(|(_, id)| *id).collect();
    if let Head::Detached(id) = local.head {
        have.insert(id);
    }
    tips(wanted, head).into_iter().filter(|id| !have.contains(id)).collect()
}

/// Lists the ids that are taken over.
fn tips(wanted: &BTreeMap<&RefName, ObjectId>, head: Option<&Head>) -> Vec<ObjectId> {
    let detached = match head {
        Some(Head::Detached(id)) => Some(*id),
        _ => None,
    };
    let ids: BTreeSet<ObjectId> = wanted.values().copied().chain(detached).collect();
    ids.into_iter().collect()
}

/// Refuses names that cannot exist beside each other, which no honest repository has.
fn check_names(wanted: &BTreeMap<&RefName, ObjectId>) -> Result<()> {
    let names: HashSet<&[u8]> = wanted.keys().map(|name| name.as_bytes()).collect();
    for name in wanted.keys() {
        if let Some(parent) = name.parents().find(|parent| names.contains(parent)) {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "upstream advertises names that cannot exist beside each other",
            )
            .with("name", name)
            .with("other", parent.escape_ascii()));
        }
    }
    Ok(())
}
