//! Digests that tell without the records whether anything differs from them.

use sha2::{Digest as _, Sha256};

use super::{MirrorKind, RefMapping};
use crate::backend::Head;
use crate::model::{Depth, ObjectId, RefName};
use crate::source::SourceUrl;

/// A SHA-256.
pub type Digest = [u8; 32];

/// Returns the digest of the references that a mapping takes over and of `HEAD`.
///
/// `refs` are sorted by name, with unpeeled ids; those the mapping leaves out do not count.
pub fn refs_digest<'a>(
    mapping: &RefMapping,
    refs: impl IntoIterator<Item = (&'a RefName, &'a ObjectId)>,
    head: &Head,
) -> Digest {
    let mut hasher = Fields::new();
    match head {
        Head::Branch(name) => hasher.field(b"branch").field(name.as_bytes()),
        Head::Detached(id) => hasher.field(b"detached").field(id.as_bytes()),
    };
    for (name, id) in refs.into_iter().filter(|(name, _)| mapping.takes(name)) {
        hasher.field(name.as_bytes()).field(id.as_bytes());
    }
    hasher.finish()
}

/// Returns the digest of what a push target is to have: of the references that a mapping takes over.
///
/// `refs` are sorted by name, with unpeeled ids. `HEAD` does not count: no push moves that of the target.
pub fn push_digest<'a>(mapping: &RefMapping, refs: impl IntoIterator<Item = (&'a RefName, &'a ObjectId)>) -> Digest {
    let mut hasher = Fields::new();
    for (name, id) in refs.into_iter().filter(|(name, _)| mapping.takes(name)) {
        hasher.field(name.as_bytes()).field(id.as_bytes());
    }
    hasher.finish()
}

/// Returns the digest of what decides which references are taken from where, and how much of their history. When it changes,
/// a sync looks at everything.
///
/// `shallow` is the sorted boundary.
pub fn policy_digest(
    source: Option<&SourceUrl>,
    mapping: &RefMapping,
    depth: Option<Depth>,
    shallow: &[ObjectId],
) -> Digest {
    let mut hasher = Fields::new();
    hasher.field(source.map(ToString::to_string).unwrap_or_default().as_bytes());
    hasher.field(match mapping.kind {
        MirrorKind::Mirror => &b"mirror"[..],
        MirrorKind::Bare => b"bare",
        MirrorKind::Regular => b"regular",
    });
    let mut exclude: Vec<_> = mapping.exclude.iter().collect();
    exclude.sort();
    for pattern in exclude {
        hasher.field(pattern.as_str().as_bytes());
    }
    // Nothing for the whole history: what was recorded before there were depths stays trusted.
    if let Some(depth) = depth {
        hasher.field(b"depth").field(&depth.get().get().to_be_bytes());
    }
    for id in shallow {
        hasher.field(b"shallow").field(id.as_bytes());
    }
    hasher.finish()
}

/// Hashes fields with their lengths, so that no two lists of fields look alike.
struct Fields(Sha256);

impl Fields {
    fn new() -> Self {
        Fields(Sha256::new())
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn finish(self) -> Digest {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::RefPattern;

    fn mirror(exclude: &[&str]) -> RefMapping {
        let exclude = exclude.iter().map(|pattern| RefPattern::new(*pattern).unwrap()).collect();
        RefMapping { kind: MirrorKind::Mirror, exclude }
    }

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    #[test]
    fn only_what_is_taken_over_counts() {
        let id = ObjectId::Sha1([1; 20]);
        let head = Head::Branch(name("refs/heads/main"));
        let (main, pull, kept) = (name("refs/heads/main"), name("refs/pull/1/head"), name("refs/gitsync/kept/1/2"));
        let digest = |exclude: &[&str], refs: &[&RefName], head: &Head| {
            refs_digest(&mirror(exclude), refs.iter().map(|name| (*name, &id)), head)
        };
        let plain = digest(&[], &[&main], &head);
        assert_eq!(digest(&[], &[&kept, &main], &head), plain);
        assert_ne!(digest(&[], &[&main, &pull], &head), plain);
        assert_eq!(digest(&["refs/pull/*"], &[&main, &pull], &head), plain);
        assert_ne!(digest(&[], &[&main], &Head::Detached(id)), plain);
        assert_ne!(digest(&[], &[], &head), plain);
    }

    #[test]
    fn what_is_pushed_counts_and_nothing_else() {
        let id = ObjectId::Sha1([1; 20]);
        let (main, pull, kept) = (name("refs/heads/main"), name("refs/pull/1/head"), name("refs/gitsync/kept/1/2"));
        let digest =
            |exclude: &[&str], refs: &[&RefName]| push_digest(&mirror(exclude), refs.iter().map(|name| (*name, &id)));
        let plain = digest(&[], &[&main]);
        assert_eq!(digest(&["refs/pull/*"], &[&kept, &main, &pull]), plain);
        assert_ne!(digest(&[], &[&main, &pull]), plain);
        assert_ne!(push_digest(&mirror(&[]), [(&main, &ObjectId::Sha1([2; 20]))]), plain);
        assert_ne!(digest(&[], &[]), plain);
    }

    #[test]
    fn the_policy_is_source_kind_and_exclusions_in_any_order() {
        let source = SourceUrl::parse("https://host/a").unwrap().url;
        let other = SourceUrl::parse("https://host/b").unwrap().url;
        let policy_digest = |source, mapping: &RefMapping| policy_digest(source, mapping, None, &[]);
        let plain = policy_digest(Some(&source), &mirror(&["refs/a", "refs/b"]));
        assert_eq!(policy_digest(Some(&source), &mirror(&["refs/b", "refs/a"])), plain);
        assert_ne!(policy_digest(Some(&source), &mirror(&["refs/a"])), plain);
        assert_ne!(policy_digest(Some(&other), &mirror(&["refs/a", "refs/b"])), plain);
        assert_ne!(policy_digest(None, &mirror(&["refs/a", "refs/b"])), plain);
        let bare = RefMapping { kind: MirrorKind::Bare, ..mirror(&["refs/a", "refs/b"]) };
        assert_ne!(policy_digest(Some(&source), &bare), plain);
    }

    #[test]
    fn the_policy_is_also_the_depth_and_the_boundary() {
        let id = |byte| ObjectId::Sha1([byte; 20]);
        let digest =
            |depth: i64, shallow: &[ObjectId]| policy_digest(None, &mirror(&[]), Depth::new(depth).ok(), shallow);
        let all = [digest(0, &[]), digest(1, &[]), digest(2, &[]), digest(1, &[id(1)]), digest(1, &[id(1), id(2)])];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
