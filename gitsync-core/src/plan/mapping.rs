//! Which references a repository takes from upstream.

use std::fmt;

use super::target::TRACKING;
use crate::error::{Error, ErrorKind, Result};
use crate::model::RefName;

/// How much of upstream a repository mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MirrorKind {
    /// Every reference: `+refs/*:refs/*`.
    Mirror,
    /// Branches and tags: `+refs/heads/*:refs/heads/*` and `+refs/tags/*:refs/tags/*`.
    Bare,
    /// Branches as remote-tracking ones, tags, and the checked-out branch, see [`Target`](super::Target):
    /// `+refs/heads/*:refs/remotes/origin/*` and `refs/tags/*:refs/tags/*`.
    Regular,
}

/// A pattern of reference names with at most one `*`, as in a refspec: `refs/pull/*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefPattern(String);

impl RefPattern {
    /// Creates a pattern after checking it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless it begins with `refs/`, has at most one `*` and is otherwise a reference name.
    pub fn new(pattern: impl Into<String>) -> Result<Self> {
        let pattern = pattern.into();
        let with_example = pattern.replacen('*', "x", 1);
        if RefName::new(with_example).is_err() {
            return Err(Error::new(ErrorKind::InvalidInput, "not a pattern of reference names")
                .with("pattern", pattern.escape_debug())
                .hint("use a full name with at most one asterisk, such as refs/pull/*"));
        }
        Ok(RefPattern(pattern))
    }

    /// Returns the pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the pattern covers a name. The `*` stands for any bytes, slashes too.
    pub fn matches(&self, name: &RefName) -> bool {
        let name = name.as_bytes();
        match self.0.split_once('*') {
            None => name == self.0.as_bytes(),
            Some((before, after)) => {
                name.len() >= before.len() + after.len()
                    && name.starts_with(before.as_bytes())
                    && name.ends_with(after.as_bytes())
            }
        }
    }
}

impl fmt::Debug for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefPattern({})", self.0)
    }
}

/// The reference policy of a repository: its kind, less what it excludes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMapping {
    /// How much is mirrored.
    pub kind: MirrorKind,
    /// What is left out of it.
    pub exclude: Vec<RefPattern>,
}

impl RefMapping {
    /// Tells whether upstream decides about a local reference: it is set, moved and pruned by syncs.
    ///
    /// References that are excluded are still managed, so that newly excluded ones are pruned.
    pub fn manages(&self, name: &RefName) -> bool {
        match self.kind {
            _ if name.is_reserved() => false,
            MirrorKind::Mirror => true,
            MirrorKind::Bare => name.is_branch() || name.is_tag(),
            MirrorKind::Regular => name.is_branch() || name.is_tag() || is_tracking(name),
        }
    }

    /// Tells whether an advertised reference, in the repository's names, is taken over.
    pub fn takes(&self, name: &RefName) -> bool {
        // With a working tree, what is left out is known by upstream's names, and its own branches have some of those.
        let is_translated = self.kind == MirrorKind::Regular;
        self.manages(name) && (is_translated || !self.exclude.iter().any(|pattern| pattern.matches(name)))
    }
}

/// Tells whether the reference is one of upstream's branches as a repository with a working tree keeps them. Where upstream's
/// `HEAD` was is not one of them.
fn is_tracking(name: &RefName) -> bool {
    name.as_bytes().strip_prefix(TRACKING).is_some_and(|short| short != b"HEAD")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> RefName {
        RefName::new(name).unwrap()
    }

    #[test]
    fn a_pattern_has_one_asterisk_anywhere() {
        let pulls = RefPattern::new("refs/pull/*").unwrap();
        assert!(pulls.matches(&name("refs/pull/1/head")));
        assert!(!pulls.matches(&name("refs/pulls/1")));
        let heads = RefPattern::new("refs/pull/*/head").unwrap();
        assert!(heads.matches(&name("refs/pull/1/head")));
        assert!(!heads.matches(&name("refs/pull/head")));
        assert!(!heads.matches(&name("refs/pull/1/merge")));
        assert!(RefPattern::new("refs/stash").unwrap().matches(&name("refs/stash")));
        for bad in ["", "*", "heads/*", "refs/*/*", "refs/a b", "refs/../*", "refs/"] {
            assert_eq!(RefPattern::new(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn a_mirror_takes_everything_but_what_is_ours_and_excluded() {
        let exclude = vec![RefPattern::new("refs/pull/*").unwrap()];
        let mirror = RefMapping { kind: MirrorKind::Mirror, exclude };
        assert!(mirror.takes(&name("refs/notes/x")));
        assert!(!mirror.takes(&name("refs/pull/1/head")));
        assert!(mirror.manages(&name("refs/pull/1/head")));
        assert!(!mirror.manages(&name("refs/gitsync/kept/20260101/00")));
    }

    #[test]
    fn a_bare_repository_takes_branches_and_tags() {
        let bare = RefMapping { kind: MirrorKind::Bare, exclude: Vec::new() };
        assert!(bare.takes(&name("refs/heads/a")));
        assert!(bare.takes(&name("refs/tags/a")));
        assert!(!bare.manages(&name("refs/notes/a")));
    }
}
