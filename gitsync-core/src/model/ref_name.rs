//! Names of references: bytes that git would accept.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The longest reference name accepted, in bytes.
pub const MAX_REF_NAME_BYTES: usize = 4096;

/// The namespace gitsync keeps for itself in every repository; upstream can neither see, set nor delete it.
pub const RESERVED_NAMESPACE: &[u8] = b"refs/gitsync/";

/// The full name of a reference, such as `refs/heads/main`.
///
/// A name is bytes, not text, begins with `refs/` and passes the rules of `git check-ref-format`.
///
/// ```
/// use gitsync_core::model::RefName;
///
/// let name = RefName::new("refs/heads/topic/a")?;
/// assert!(name.is_branch());
/// assert_eq!(name.short(), b"topic/a");
/// assert!(RefName::new("refs/heads/../etc").is_err());
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Vec<u8>);

impl RefName {
    /// Creates a name after checking it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if git would not accept the name, it is not below `refs/` or longer than
    /// [`MAX_REF_NAME_BYTES`].
    pub fn new(name: impl Into<Vec<u8>>) -> Result<Self> {
        let name = name.into();
        match defect(&name) {
            None => Ok(RefName(name)),
            Some(defect) => Err(Error::new(ErrorKind::InvalidInput, format!("not a reference name: {defect}"))
                .with("name", name.escape_ascii())),
        }
    }

    /// Creates the name of a branch from its short name.
    ///
    /// # Errors
    /// As [`RefName::new`].
    pub fn branch(short: impl AsRef<[u8]>) -> Result<Self> {
        RefName::new([b"refs/heads/", short.as_ref()].concat())
    }

    /// Returns the bytes of the full name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether the reference is a branch (`refs/heads/`).
    pub fn is_branch(&self) -> bool {
        self.0.starts_with(b"refs/heads/")
    }

    /// Tells whether the reference is a tag (`refs/tags/`).
    pub fn is_tag(&self) -> bool {
        self.0.starts_with(b"refs/tags/")
    }

    /// Tells whether the name lies in gitsync's own namespace, or would stand in its way.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_NAMESPACE) || self.0 == b"refs/gitsync"
    }

    /// Returns the name without `refs/heads/` or `refs/tags/`, or the full name for other references.
    pub fn short(&self) -> &[u8] {
        self.0.strip_prefix(b"refs/heads/").or_else(|| self.0.strip_prefix(b"refs/tags/")).unwrap_or(&self.0)
    }

    /// Returns the names this one collides with on a file system: `refs/heads/a` for `refs/heads/a/b`.
    pub fn parents(&self) -> impl Iterator<Item = &[u8]> {
        let slashes = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        slashes.skip(1).map(|at| &self.0[..at])
    }
}

/// Says what is wrong with a name, if anything is.
fn defect(name: &[u8]) -> Option<&'static str> {
    if !name.starts_with(b"refs/") {
        return Some("it does not begin with refs/");
    }
    if name.len() > MAX_REF_NAME_BYTES {
        return Some("it is too long");
    }
    if name.iter().any(|byte| byte.is_ascii_control() || b" ~^:?*[\\".contains(byte)) {
        return Some("it holds a character that git forbids");
    }
    if name.windows(2).any(|pair| pair == b".." || pair == b"@{") {
        return Some("it holds \"..\" or \"@{\"");
    }
    if name.ends_with(b".") {
        return Some("it ends with a dot");
    }
    let bad_component =
        |component: &[u8]| component.is_empty() || component.starts_with(b".") || component.ends_with(b".lock");
    if name.split(|byte| *byte == b'/').any(bad_component) {
        return Some("a component is empty, begins with a dot or ends with .lock");
    }
    None
}

/// Formats as text; bytes that are not UTF-8 become U+FFFD.
impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefName({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const NAMES: &[&[u8]] = &[
        b"refs/heads/main",
        b"refs/heads/a/b/c",
        b"refs/heads/\xff\xfe",
        b"refs/heads/HEAD",
        b"refs/heads/@",
        b"refs/heads/-x",
        b"refs/heads/a.lock",
        b"refs/heads/a.lock/b",
        b"refs/heads/.a",
        b"refs/heads/a.",
        b"refs/heads/a..b",
        b"refs/heads/a//b",
        b"refs/heads/a/",
        b"refs/heads/a b",
        b"refs/heads/a~1",
        b"refs/heads/a^",
        b"refs/heads/a:b",
        b"refs/heads/a?",
        b"refs/heads/a*",
        b"refs/heads/a[b",
        b"refs/heads/a\\b",
        b"refs/heads/a@{b",
        b"refs/heads/a\x7f",
        b"refs/heads/a\x01",
        b"refs/stash",
        b"refs/x./y",
    ];

    #[test]
    fn git_agrees_about_every_name() {
        use std::os::unix::ffi::OsStrExt;
        for name in NAMES {
            let accepted = Command::new("git")
                .arg("check-ref-format")
                .arg(std::ffi::OsStr::from_bytes(name))
                .status()
                .expect("git is installed")
                .success();
            assert_eq!(RefName::new(*name).is_ok(), accepted, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn names_outside_refs_and_over_long_names_are_refused() {
        assert!(RefName::new("HEAD").is_err());
        assert!(RefName::new("main").is_err());
        assert!(RefName::new(format!("refs/heads/{}", "a".repeat(MAX_REF_NAME_BYTES))).is_err());
    }

    #[test]
    fn parents_are_the_directories_of_the_name() {
        let name = RefName::new("refs/heads/a/b").unwrap();
        let parents: Vec<_> = name.parents().collect();
        assert_eq!(parents, [b"refs/heads".as_slice(), b"refs/heads/a"]);
    }

    #[test]
    fn our_namespace_and_its_root_are_reserved() {
        for (name, reserved) in
            [("refs/gitsync/kept/20260101/ab", true), ("refs/gitsync", true), ("refs/gitsyncs/a", false)]
        {
            assert_eq!(RefName::new(name).unwrap().is_reserved(), reserved, "{name}");
        }
    }
}
