//! What a repository is to have after a sync, in its own names.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::{MirrorKind, RefMapping};
use crate::backend::{AdvertisedRef, Advertisement, Head, LocalRefs};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, RefName};

/// What the [plan](super::plan) of a sync takes for upstream's references.
///
/// Mirrors and bare repositories have what upstream has, under the same names. In one with a working tree it is as git has
/// it after a clone and a pull:
///
/// - upstream's branches are below `refs/remotes/origin/`, moved and pruned with it;
/// - new tags are added; one that is there already stays as it is;
/// - the repository's own branches stay, except that the checked-out one goes to where upstream's of that name is;
/// - `HEAD` stays, also when upstream's default branch changes. As long as there is no branch at all it follows upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The references, and where `HEAD` points.
    pub advertised: Cow<'a, Advertisement>,
    /// The commit that is to be checked out, if another one is now.
    pub checkout: Option<CheckoutMove>,
}

/// The way of a working tree, as long as it is not known whether there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutMove {
    /// What is checked out.
    pub from: Option<ObjectId>,
    /// What is to be.
    pub to: ObjectId,
}

/// Translates what upstream advertises to what a repository is to have.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the checked-out branch was followed and is not there any more.
pub fn target<'a>(mapping: &RefMapping, local: &LocalRefs, advertised: &'a Advertisement) -> Result<Target<'a>> {
    match mapping.kind {
        MirrorKind::Mirror | MirrorKind::Bare => Ok(Target { advertised: Cow::Borrowed(advertised), checkout: None }),
        MirrorKind::Regular => of_regular(mapping, local, advertised),
    }
}

impl Target<'_> {
    /// Leaves the checked-out branch where it is: it has all that upstream's has, and more.
    #[must_use]
    pub fn staying(mut self) -> Self {
        if let Some(CheckoutMove { from: Some(from), .. }) = self.checkout.take()
            && let Some(Head::Branch(head)) = self.advertised.head.clone()
        {
            let refs = &mut self.advertised.to_mut().refs;
            refs.iter_mut().filter(|one| one.name == head).for_each(|one| one.id = from);
        }
        self
    }
}

fn of_regular<'a>(mapping: &RefMapping, local: &LocalRefs, advertised: &'a Advertisement) -> Result<Target<'a>> {
    let upstream: BTreeMap<&RefName, ObjectId> = advertised
        .refs
        .iter()
        .filter(|one| !mapping.exclude.iter().any(|pattern| pattern.matches(&one.name)))
        .map(|one| (&one.name, one.id))
        .collect();
    let is_own = |name: &RefName| name.is_branch() || name.is_tag();
    let mut refs: BTreeMap<RefName, ObjectId> =
        local.refs.iter().filter(|(name, _)| is_own(name)).map(|(name, id)| (name.clone(), *id)).collect();
    let head = if refs.keys().any(RefName::is_branch) {
        local.head.clone()
    } else {
        advertised.head.clone().filter(is_usable).unwrap_or_else(|| local.head.clone())
    };
    let occupied = Occupied::by(local);
    for (name, id) in &upstream {
        if name.is_tag() && !occupied.collides(name) {
            refs.entry((*name).clone()).or_insert(*id);
        } else if let Some(tracking) = tracking(name) {
            refs.insert(tracking, *id);
        }
    }

    let checkout = match &head {
        Head::Branch(branch) => {
            let from = refs.get(branch).copied();
            match upstream.get(branch) {
                Some(to) => {
                    refs.insert(branch.clone(), *to);
                    Some(CheckoutMove { from, to: *to })
                }
                None => {
                    check_not_gone(branch, local, advertised)?;
                    None
                }
            }
        }
        // Nobody's branch, so nothing to follow; but a clone begins there.
        Head::Detached(id) if local.head != head => Some(CheckoutMove { from: None, to: *id }),
        Head::Detached(_) => None,
    };
    let refs = refs.into_iter().map(|(name, id)| AdvertisedRef { name, id, peeled: None }).collect();
    Ok(Target {
        advertised: Cow::Owned(Advertisement {
            refs,
            head: Some(head),
            format: advertised.format,
            refused_names: advertised.refused_names,
        }),
        checkout: checkout.filter(|checkout| checkout.from != Some(checkout.to)),
    })
}

fn is_usable(head: &Head) -> bool {
    match head {
        Head::Branch(name) => name.is_branch(),
        Head::Detached(_) => true,
    }
}

/// Returns the name under which a branch of upstream is kept. None is kept where git keeps upstream's `HEAD`.
pub(super) fn tracking(name: &RefName) -> Option<RefName> {
    let short = name.as_bytes().strip_prefix(b"refs/heads/")?;
    let is_head = short == b"HEAD" || short.starts_with(b"HEAD/");
    RefName::new([TRACKING, short].concat()).ok().filter(|_| !is_head)
}

/// Where upstream's branches are kept.
pub(super) const TRACKING: &[u8] = b"refs/remotes/origin/";

/// Tells which names cannot be beside those of a repository: files and directories have one name each.
struct Occupied<'a> {
    files: HashSet<&'a [u8]>,
    directories: HashSet<&'a [u8]>,
}

impl<'a> Occupied<'a> {
    fn by(local: &'a LocalRefs) -> Self {
        Occupied {
            files: local.refs.iter().map(|(name, _)| name.as_bytes()).collect(),
            directories: local.refs.iter().flat_map(|(name, _)| name.parents()).collect(),
        }
    }

    fn collides(&self, name: &RefName) -> bool {
        self.directories.contains(name.as_bytes()) || name.parents().any(|parent| self.files.contains(parent))
    }
}

/// Refuses to go on as if nothing were wrong when the branch that was followed is gone.
fn check_not_gone(branch: &RefName, local: &LocalRefs, advertised: &Advertisement) -> Result<()> {
    let was_there = tracking(branch).is_some_and(|tracking| local.refs.iter().any(|(name, _)| *name == tracking));
    if was_there && !advertised.refs.iter().any(|one| one.name == *branch) {
        return Err(Error::new(ErrorKind::Conflict, "the checked-out branch is not there upstream any more")
            .with("branch", branch)
            .hint("check out another branch, or migrate with force"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectFormat;

    fn id(number: u8) -> ObjectId {
        ObjectId::Sha1([number; 20])
    }

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    fn branch(short: &str) -> Head {
        Head::Branch(RefName::branch(short).unwrap())
    }

    fn local(refs: &[(&str, u8)], head: Head) -> LocalRefs {
        let refs = refs.iter().map(|(one, number)| (name(one), id(*number))).collect();
        LocalRefs { refs, head, format: ObjectFormat::Sha1, shallow: Vec::new() }
    }

    fn upstream(refs: &[(&str, u8)], head: Option<Head>) -> Advertisement {
        let one = |(one, number): &(&str, u8)| AdvertisedRef { name: name(one), id: id(*number), peeled: None };
        Advertisement { refs: refs.iter().map(one).collect(), head, ..Advertisement::default() }
    }

    fn regular(exclude: &[&str]) -> RefMapping {
        let exclude = exclude.iter().map(|pattern| super::super::RefPattern::new(*pattern).unwrap()).collect();
        RefMapping { kind: MirrorKind::Regular, exclude }
    }

    fn shown(target: &Target<'_>) -> Vec<(String, u8)> {
        target.advertised.refs.iter().map(|one| (one.name.to_string(), one.id.as_bytes()[0])).collect()
    }

    fn moves(from: Option<u8>, to: u8) -> Option<CheckoutMove> {
        Some(CheckoutMove { from: from.map(id), to: id(to) })
    }

    #[test]
    fn an_empty_repository_becomes_a_clone() {
        let empty = local(&[], branch("main"));
        let refs = [("refs/heads/a", 1), ("refs/heads/trunk", 2), ("refs/notes/x", 3), ("refs/tags/v1", 4)];
        let advertised = upstream(&refs, Some(branch("trunk")));
        let found = target(&regular(&[]), &empty, &advertised).unwrap();
        let expected = [
            ("refs/heads/trunk", 2),
            ("refs/remotes/origin/a", 1),
            ("refs/remotes/origin/trunk", 2),
            ("refs/tags/v1", 4),
        ];
        assert_eq!(shown(&found), expected.map(|(name, number)| (name.to_owned(), number)));
        assert_eq!((found.advertised.head.clone(), found.checkout), (Some(branch("trunk")), moves(None, 2)));

        let detached = upstream(&refs, Some(Head::Detached(id(9))));
        let found = target(&regular(&[]), &empty, &detached).unwrap();
        assert_eq!((found.advertised.head.clone(), found.checkout), (detached.head.clone(), moves(None, 9)));
        assert!(!found.advertised.refs.iter().any(|one| one.name.is_branch()));

        let unborn = upstream(&[], Some(branch("trunk")));
        let found = target(&regular(&[]), &empty, &unborn).unwrap();
        assert_eq!((found.advertised.head.clone(), found.checkout), (Some(branch("trunk")), None));
        let silent = upstream(&refs, None);
        let found = target(&regular(&[]), &empty, &silent).unwrap();
        assert_eq!((found.advertised.head.clone(), found.checkout), (Some(branch("main")), None));
    }

    #[test]
    fn only_the_checked_out_branch_follows_and_head_stays() {
        let refs = [
            ("refs/gitsync/kept/1/2", 9),
            ("refs/heads/a", 1),
            ("refs/heads/main", 1),
            ("refs/heads/mine", 7),
            ("refs/remotes/origin/a", 1),
            ("refs/remotes/origin/gone", 1),
            ("refs/remotes/origin/HEAD", 1),
            ("refs/remotes/origin/main", 1),
            ("refs/tags/moved", 1),
        ];
        let here = local(&refs, branch("main"));
        let there = [
            ("refs/heads/HEAD", 5),
            ("refs/heads/a", 2),
            ("refs/heads/main", 2),
            ("refs/tags/moved", 2),
            ("refs/tags/moved-again", 2),
        ];
        let advertised = upstream(&there, Some(branch("a")));
        let found = target(&regular(&[]), &here, &advertised).unwrap();
        let expected = [
            ("refs/heads/a", 1),
            ("refs/heads/main", 2),
            ("refs/heads/mine", 7),
            ("refs/remotes/origin/a", 2),
            ("refs/remotes/origin/main", 2),
            ("refs/tags/moved", 1),
            ("refs/tags/moved-again", 2),
        ];
        assert_eq!(shown(&found), expected.map(|(name, number)| (name.to_owned(), number)));
        assert_eq!((found.advertised.head.clone(), &found.checkout), (Some(branch("main")), &moves(Some(1), 2)));

        let stays = found.staying();
        assert!(shown(&stays).contains(&("refs/heads/main".to_owned(), 1)));
        assert_eq!(stays.checkout, None);
    }

    #[test]
    fn nothing_is_checked_out_for_a_branch_that_upstream_never_had_and_a_lost_one_is_a_conflict() {
        let advertised = upstream(&[("refs/heads/main", 2)], Some(branch("main")));
        let mine = local(&[("refs/heads/mine", 1), ("refs/remotes/origin/main", 1)], branch("mine"));
        assert_eq!(target(&regular(&[]), &mine, &advertised).unwrap().checkout, None);
        let detached = local(&[("refs/heads/mine", 1)], Head::Detached(id(1)));
        assert_eq!(target(&regular(&[]), &detached, &advertised).unwrap().checkout, None);

        let followed = local(&[("refs/heads/old", 1), ("refs/remotes/origin/old", 1)], branch("old"));
        let error = target(&regular(&[]), &followed, &advertised).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        // One that is left out on purpose is not lost.
        let advertised = upstream(&[("refs/heads/old", 2)], Some(branch("old")));
        let found = target(&regular(&["refs/heads/old"]), &followed, &advertised).unwrap();
        assert_eq!(shown(&found), [("refs/heads/old".to_owned(), 1)]);
    }

    #[test]
    fn a_tag_that_cannot_be_beside_another_is_left_out() {
        let here = local(&[("refs/heads/main", 1), ("refs/tags/a", 1), ("refs/tags/b/c", 1)], branch("main"));
        let there = [("refs/heads/main", 1), ("refs/tags/a/x", 2), ("refs/tags/b", 2), ("refs/tags/b-c", 2)];
        let advertised = upstream(&there, None);
        let found = target(&regular(&[]), &here, &advertised).unwrap();
        let tags: Vec<_> = shown(&found).into_iter().filter(|(name, _)| name.starts_with("refs/tags/")).collect();
        assert_eq!(
            tags,
            [("refs/tags/a", 1), ("refs/tags/b-c", 2), ("refs/tags/b/c", 1)].map(|(n, i)| (n.to_owned(), i))
        );
    }
}
