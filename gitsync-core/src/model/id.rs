//! Ids, slugs and names as validated newtypes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// Defines a database id: positive, 32 bits wide because the API's field is.
macro_rules! row_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

row_id!(
    /// The id of an organisation.
    OrganisationId
);
row_id!(
    /// The id of a repository.
    RepositoryId
);

/// The id of a task, of its job in the queue and of the `task_id` in the API: one value, ordered by creation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub Uuid);

impl TaskId {
    /// Creates an id that sorts after all earlier ones of this process.
    pub fn generate() -> Self {
        TaskId(Uuid::now_v7())
    }

    /// Returns the 16 bytes of the id, which sort as the ids do.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Returns the id that has these bytes, if there are 16.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(TaskId)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text)
            .map(TaskId)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "a task id is a UUID").caused_by(error))
    }
}

/// Defines a name that is text and was checked.
macro_rules! checked_name {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Creates the name after checking it.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`] if it breaks a rule of its type.
            pub fn new(name: impl Into<String>) -> Result<Self> {
                let name = name.into();
                match $check(&name) {
                    Ok(()) => Ok($name(name)),
                    Err(rule) => {
                        Err(Error::new(ErrorKind::InvalidInput, format!("{} is not valid", stringify!($name)))
                            .with("value", name.escape_debug())
                            .hint(rule))
                    }
                }
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(name: String) -> Result<Self> {
                $name::new(name)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                $name::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_name!(
    /// The unique, immutable short name of an organisation; it is a directory below the storage root.
    ///
    /// 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen.
    Slug,
    check_slug
);
checked_name!(
    /// The name of a repository within its organisation; it is a directory below the organisation's.
    ///
    /// 1 to 100 letters, digits, `.`, `_` and `-`; no leading `-` or `.`; no trailing `.`, `.git` or `.lock`.
    /// Two names that differ only in case are the same repository: see [`RepositoryName::folded`].
    RepositoryName,
    check_repository_name
);
checked_name!(
    /// The name of a storage: one disk that holds repositories.
    ///
    /// Same rules as a [`Slug`].
    StorageName,
    check_slug
);
checked_name!(
    /// The name of credentials that an organisation keeps here.
    ///
    /// Same rules as a [`Slug`].
    CredentialName,
    check_slug
);
checked_name!(
    /// The name of a key that seals stored credentials.
    ///
    /// Same rules as a [`Slug`].
    KeyId,
    check_slug
);

impl RepositoryName {
    /// Returns the form that must be unique within an organisation.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn check_slug(slug: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if slug.is_empty() || slug.len() > 63 || slug.starts_with('-') || !slug.bytes().all(allowed) {
        return Err("use 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen");
    }
    Ok(())
}

fn check_repository_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(allowed) {
        return Err("use 1 to 100 letters, digits, dots, underscores and hyphens");
    }
    if name.starts_with(['-', '.']) {
        return Err("a name does not begin with a hyphen or a dot");
    }
    let folded = name.to_ascii_lowercase();
    if [".", ".git", ".lock"].iter().any(|ending| folded.ends_with(ending)) {
        return Err("a name does not end with a dot, .git or .lock");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_and_short() {
        for good in ["a", "0", "a-b", "rust-lang", &"a".repeat(63)] {
            assert!(Slug::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a.b", "a/b", "..", "ä", "a b", "a\n", &"a".repeat(64)] {
            assert_eq!(Slug::new(bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn repository_names_cannot_leave_their_directory_or_look_like_gits_own_files() {
        for good in ["a", "Linux", "a.b", "a_b-c", "0", "_x", &"a".repeat(100)] {
            assert!(RepositoryName::new(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "-a",
            ".a",
            "a.",
            "a.git",
            "a.GIT",
            "a.lock",
            "a b",
            "a\0",
            "ä",
            &"a".repeat(101),
        ];
        for bad in bad {
            let error = RepositoryName::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            assert!(error.hint_text().is_some(), "{bad}");
        }
    }

    #[test]
    fn serde_checks_names_too() {
        assert!(serde_json::from_str::<RepositoryName>("\"ok\"").is_ok());
        assert!(serde_json::from_str::<RepositoryName>("\"../x\"").is_err());
    }

    #[test]
    fn names_that_differ_in_case_fold_to_one() {
        let (upper, lower) = (RepositoryName::new("Linux").unwrap(), RepositoryName::new("linux").unwrap());
        assert_ne!(upper, lower);
        assert_eq!(upper.folded(), lower.folded());
    }

    #[test]
    fn task_ids_are_ordered_by_creation() {
        let ids: Vec<_> = (0..100).map(|_| TaskId::generate()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].to_string().parse::<TaskId>().unwrap(), ids[0]);
        assert_eq!(TaskId::from_bytes(ids[0].as_bytes()), Some(ids[0]));
        assert_eq!(TaskId::from_bytes(b"short"), None);
        assert_eq!("x".parse::<TaskId>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
