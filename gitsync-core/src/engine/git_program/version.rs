//! Versions of the git program.

use std::fmt;

/// A version of git, as far as it matters: `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

impl Version {
    /// The first that repacks geometrically.
    pub(crate) const OLDEST: Version = Version(2, 32);

    /// The first that writes a multi-pack-index while it repacks.
    pub(crate) const WRITES_INDEX_OF_PACKS: Version = Version(2, 34);

    /// Reads what `git version` prints.
    pub(super) fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.strip_prefix("git version ")?.trim().split('.');
        Some(Version(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(Version::parse("git version 2.47.3\n"), Some(Version(2, 47)));
        assert_eq!(Version::parse("git version 2.39.5 (Apple Git-154)\n"), Some(Version(2, 39)));
        assert_eq!(Version::parse("git version 3.0\n"), Some(Version(3, 0)));
        for other in ["", "git version", "git version x.y", "version 2.40"] {
            assert_eq!(Version::parse(other), None, "{other}");
        }
        assert!(Version(2, 31) < Version::OLDEST && Version(3, 0) > Version::WRITES_INDEX_OF_PACKS);
    }
}
