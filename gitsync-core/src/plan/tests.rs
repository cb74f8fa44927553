//! The plan by example and by properties: whatever the three sets of references are, applying the plan makes them agree
//! and leaves every old tip with a name.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;
use crate::ErrorKind;
use crate::backend::{AdvertisedRef, Advertisement, Head, LocalRefs, RefTransaction};
use crate::model::{ObjectFormat, ObjectId, RefName};

const DAY: &str = "20260131";

type Refs = BTreeMap<RefName, ObjectId>;

fn id(number: u8) -> ObjectId {
    ObjectId::Sha1([number; 20])
}

fn name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

fn refs(pairs: &[(&str, u8)]) -> Refs {
    pairs.iter().map(|(n, i)| (name(n), id(*i))).collect()
}

fn main_branch() -> Head {
    Head::Branch(name("refs/heads/main"))
}

fn local(refs: &Refs) -> LocalRefs {
    let refs = refs.iter().map(|(name, id)| (name.clone(), *id)).collect();
    LocalRefs { refs, head: main_branch(), format: ObjectFormat::Sha1, shallow: Vec::new() }
}

fn advertised(refs: &Refs) -> Advertisement {
    let refs = refs.iter().map(|(name, id)| AdvertisedRef { name: name.clone(), id: *id, peeled: None }).collect();
    Advertisement { refs, head: Some(main_branch()), ..Advertisement::default() }
}

fn mirror() -> RefMapping {
    RefMapping { kind: MirrorKind::Mirror, exclude: Vec::new() }
}

/// Applies a transaction as an engine must: every old id is checked.
fn apply(refs: &Refs, transaction: &RefTransaction) -> Refs {
    let mut after = refs.clone();
    for edit in &transaction.edits {
        assert_eq!(after.get(&edit.name), edit.old.as_ref(), "{}", edit.name);
        match edit.new {
            Some(new) => after.insert(edit.name.clone(), new),
            None => after.remove(&edit.name),
        };
    }
    after
}

#[test]
fn a_clone_creates_everything_and_fetches_each_object_once() {
    let upstream = refs(&[("refs/heads/main", 1), ("refs/heads/same", 1), ("refs/tags/v1", 2)]);
    let plan = plan(&mirror(), &Refs::new(), &local(&Refs::new()), &advertised(&upstream)).unwrap();
    assert_eq!(plan.wants, [id(1), id(2)]);
    assert!(plan.at_risk.is_empty());
    let kinds: Vec<_> = plan.movements(&ObjectFacts::default()).into_iter().map(|movement| movement.kind).collect();
    assert_eq!(kinds, [MovementKind::Created; 3]);
    assert_eq!(apply(&Refs::new(), &plan.publish(&ObjectFacts::default(), DAY).unwrap()), upstream);
}

#[test]
fn a_fast_forward_keeps_nothing_and_a_forced_move_keeps_the_old_tip() {
    let before = refs(&[("refs/heads/main", 1), ("refs/heads/topic", 2), ("refs/tags/v1", 3)]);
    let after = refs(&[("refs/heads/main", 4), ("refs/heads/topic", 5), ("refs/tags/v1", 6)]);
    let plan = plan(&mirror(), &before, &local(&before), &advertised(&after)).unwrap();
    assert_eq!(plan.ancestry_questions(), BTreeSet::from([(id(1), id(4)), (id(2), id(5))]));

    let facts = ObjectFacts { fast_forwards: HashSet::from([(id(1), id(4))]), ..ObjectFacts::default() };
    let kinds: Vec<_> = plan.movements(&facts).into_iter().map(|movement| movement.kind).collect();
    assert_eq!(kinds, [MovementKind::FastForward, MovementKind::Forced, MovementKind::Forced]);
    let on_disk = apply(&before, &plan.publish(&facts, DAY).unwrap());
    let kept: Vec<_> = on_disk.keys().filter(|name| name.is_reserved()).map(ToString::to_string).collect();
    assert_eq!(kept, [2, 3].map(|old| format!("refs/gitsync/kept/{DAY}/{}", id(old))));
}

#[test]
fn what_was_pushed_locally_is_overwritten_and_kept() {
    let recorded = refs(&[("refs/heads/main", 1)]);
    let on_disk = refs(&[("refs/heads/local", 8), ("refs/heads/main", 9)]);
    let plan = plan(&mirror(), &recorded, &local(&on_disk), &advertised(&recorded)).unwrap();
    assert!(plan.moved.is_empty(), "upstream did not move");
    assert!(!plan.is_noop());
    let after = apply(&on_disk, &plan.publish(&ObjectFacts::default(), DAY).unwrap());
    assert_eq!(after.get(&name("refs/heads/main")), Some(&id(1)));
    for old in [8, 9] {
        assert!(after.contains_key(&name(&format!("refs/gitsync/kept/{DAY}/{}", id(old)))), "{old}");
    }
}

#[test]
fn a_tip_that_is_gone_from_disk_is_not_kept() {
    let recorded = refs(&[("refs/heads/main", 1)]);
    let plan = plan(&mirror(), &recorded, &local(&Refs::new()), &advertised(&refs(&[("refs/heads/main", 2)]))).unwrap();
    assert_eq!(plan.at_risk, [AtRisk { name: name("refs/heads/main"), old: id(1), new: Some(id(2)) }]);
    let facts = ObjectFacts { missing: HashSet::from([id(1)]), ..ObjectFacts::default() };
    assert_eq!(plan.publish(&facts, DAY).unwrap().edits.len(), 1);
}

#[test]
fn newly_excluded_references_go_like_vanished_ones() {
    let before = refs(&[("refs/heads/main", 1), ("refs/pull/1/head", 2)]);
    let mapping = RefMapping { exclude: vec![RefPattern::new("refs/pull/*").unwrap()], ..mirror() };
    let baseline = refs(&[("refs/heads/main", 1)]);
    let plan = plan(&mapping, &baseline, &local(&before), &advertised(&before)).unwrap();
    assert_eq!(apply(&before, &plan.publish(&ObjectFacts::default(), DAY).unwrap()), baseline);
    assert!(plan.wants.is_empty());
}

#[test]
fn a_hostile_upstream_cannot_touch_our_namespace() {
    let kept = format!("refs/gitsync/kept/{DAY}/{}", id(7));
    let on_disk = refs(&[("refs/heads/main", 1), (&kept, 7)]);
    let mut listing = advertised(&refs(&[("refs/gitsync", 5), ("refs/heads/main", 1), (&kept, 6)]));
    listing.head = Some(Head::Branch(name(&kept)));
    let plan = plan(&mirror(), &refs(&[("refs/heads/main", 1)]), &local(&on_disk), &listing).unwrap();
    assert!(plan.is_noop(), "{plan:?}");
    assert!(plan.wants.is_empty());
}

#[test]
fn names_that_cannot_exist_beside_each_other_are_corrupt() {
    let listing = advertised(&refs(&[("refs/heads/a", 1), ("refs/heads/a/b", 2)]));
    let error = plan(&mirror(), &Refs::new(), &local(&Refs::new()), &listing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn head_follows_upstream_and_a_detached_one_is_fetched() {
    let same = refs(&[("refs/heads/main", 1)]);
    let mut listing = advertised(&same);
    listing.head = Some(Head::Detached(id(9)));
    let plan_detached = plan(&mirror(), &same, &local(&same), &listing).unwrap();
    assert_eq!((plan_detached.head, plan_detached.wants), (Some(Head::Detached(id(9))), vec![id(9)]));
    listing.head = None;
    assert!(plan(&mirror(), &same, &local(&same), &listing).unwrap().is_noop(), "silence about HEAD moves nothing");
}

/// Names that collide in every way: D/F pairs, other namespaces, our own.
const POOL: &[&str] = &[
    "refs/heads/a",
    "refs/heads/a/b",
    "refs/heads/c",
    "refs/heads/main",
    "refs/tags/a",
    "refs/tags/v1",
    "refs/notes/commits",
    "refs/pull/1/head",
    "refs/gitsync/kept/20260131/0101010101010101010101010101010101010101",
];

fn any_refs() -> impl Strategy<Value = Refs> {
    let one = (0..POOL.len()).prop_map(|at| name(POOL[at]));
    btree_map(one, (1_u8..6).prop_map(id), 0..POOL.len()).prop_map(|mut refs| {
        if refs.contains_key(&name("refs/heads/a")) {
            refs.remove(&name("refs/heads/a/b"));
        }
        refs
    })
}

fn any_mapping() -> impl Strategy<Value = RefMapping> {
    let kind = prop_oneof![Just(MirrorKind::Mirror), Just(MirrorKind::Bare)];
    let exclude = prop_oneof![Just(Vec::new()), Just(vec![RefPattern::new("refs/tags/*").unwrap()])];
    (kind, exclude).prop_map(|(kind, exclude)| RefMapping { kind, exclude })
}

/// Ancestry by number: a lower id is an ancestor of a higher one of the same parity.
fn facts(plan: &SyncPlan) -> ObjectFacts {
    let rank = |id: ObjectId| id.as_bytes()[0];
    let is_ancestor = |(old, new): &(ObjectId, ObjectId)| rank(*old) <= rank(*new) && rank(*old) % 2 == rank(*new) % 2;
    ObjectFacts {
        fast_forwards: plan.ancestry_questions().into_iter().filter(is_ancestor).collect(),
        ..ObjectFacts::default()
    }
}

proptest! {
    #[test]
    fn applying_a_plan_makes_disk_and_upstream_agree(
        (recorded, on_disk, upstream, mapping) in (any_refs(), any_refs(), any_refs(), any_mapping())
    ) {
        let recorded: Refs = recorded.into_iter().filter(|(name, _)| name.is_branch() || name.is_tag()).collect();
        let plan_made = plan(&mapping, &recorded, &local(&on_disk), &advertised(&upstream)).unwrap();
        let facts = facts(&plan_made);
        let after = apply(&on_disk, &plan_made.publish(&facts, DAY).unwrap());

        let managed: Refs = after.clone().into_iter().filter(|(name, _)| mapping.manages(name)).collect();
        let taken: Refs = upstream.clone().into_iter().filter(|(name, _)| mapping.takes(name)).collect();
        prop_assert_eq!(&managed, &taken);

        for (name, old) in &on_disk {
            if !mapping.manages(name) {
                let put_right = name.is_reserved() && after.get(name) == Some(&id(1));
                prop_assert!(after.get(name) == Some(old) || put_right, "{} is not upstream's to change", name);
            } else if name.is_branch() || name.is_tag() {
                let forwarded = after.get(name).is_some_and(|new| facts.fast_forwards.contains(&(*old, *new)));
                let named = after.values().any(|id| id == old);
                prop_assert!(forwarded || named, "the old tip of {} is lost", name);
            }
        }

        let history: Refs = taken.into_iter().filter(|(name, _)| name.is_branch() || name.is_tag()).collect();
        let mut books = recorded;
        for movement in plan_made.movements(&facts) {
            prop_assert_eq!(books.get(&movement.name), movement.old.as_ref());
            match movement.new {
                Some(new) => books.insert(movement.name, new),
                None => books.remove(&movement.name),
            };
        }
        prop_assert_eq!(&books, &history);

        let again = plan(&mapping, &history, &local(&after), &advertised(&upstream)).unwrap();
        prop_assert!(again.is_noop(), "a second sync has nothing to do: {:?}", again);
    }

    #[test]
    fn everything_a_transaction_needs_is_wanted_or_there(
        (on_disk, upstream, mapping) in (any_refs(), any_refs(), any_mapping())
    ) {
        let plan = plan(&mapping, &Refs::new(), &local(&on_disk), &advertised(&upstream)).unwrap();
        let there: HashSet<ObjectId> = on_disk.values().chain(&plan.wants).copied().collect();
        for edit in plan.publish(&facts(&plan), DAY).unwrap().edits {
            prop_assert!(edit.new.is_none_or(|new| there.contains(&new)), "{}", edit.name);
        }
        let unique: BTreeSet<_> = plan.wants.iter().collect();
        prop_assert_eq!(unique.len(), plan.wants.len());
        let taken: BTreeSet<_> = upstream.iter().filter(|(name, _)| mapping.takes(name)).map(|(_, id)| *id).collect();
        prop_assert_eq!(&plan.tips, &taken.into_iter().collect::<Vec<_>>());
    }
    #[test]
    fn a_pull_moves_one_branch_and_a_second_has_nothing_to_do(
        (on_disk, upstream) in (any_refs(), any_refs())
    ) {
        let mapping = RefMapping { kind: MirrorKind::Regular, exclude: Vec::new() };
        let (before, there) = (local(&on_disk), advertised(&upstream));
        let Ok(wanted) = target(&mapping, &before, &there) else {
            // The checked-out branch was followed and is gone.
            prop_assert!(!upstream.contains_key(&name("refs/heads/main")));
            return Ok(());
        };
        let history = |refs: &Refs| -> Refs {
            refs.iter().filter(|(name, _)| name.is_branch() || name.is_tag()).map(|(name, id)| (name.clone(), *id)).collect()
        };
        let planned = plan(&mapping, &history(&on_disk), &before, &wanted.advertised).unwrap();
        let after = apply(&on_disk, &planned.publish(&facts(&planned), DAY).unwrap());
        for (other, id) in on_disk.iter().filter(|(other, _)| **other != name("refs/heads/main")) {
            if other.is_branch() || other.is_tag() {
                prop_assert_eq!(after.get(other), Some(id), "{} is not upstream's to change", other);
            }
        }
        for (other, id) in upstream.iter().filter(|(other, _)| other.is_branch()) {
            let tracking = name(&other.to_string().replace("refs/heads/", "refs/remotes/origin/"));
            prop_assert_eq!(after.get(&tracking), Some(id));
        }
        let settled = local(&after);
        let again = target(&mapping, &settled, &there).unwrap();
        prop_assert_eq!(&again.checkout, &None);
        prop_assert!(plan(&mapping, &history(&after), &settled, &again.advertised).unwrap().is_noop());
    }
}
