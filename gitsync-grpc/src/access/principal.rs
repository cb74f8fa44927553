//! A caller and its roles.

use std::collections::BTreeMap;
use std::fmt;

use gitsync_core::model::Slug;
use serde::Deserialize;

/// What a caller may do in an organisation; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything.
    Reader,
    /// Creates, edits, syncs and archives repositories.
    Writer,
    /// Deletes repositories, sets push targets and credentials; in all organisations, also creates organisations.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Admin => "admin",
        })
    }
}

/// A caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    name: String,
    everywhere: Option<Role>,
    organisations: BTreeMap<Slug, Role>,
    anonymous: bool,
    reads_public: bool,
}

impl Principal {
    /// Creates a caller of this name without any role. The name becomes the owner of what it creates.
    pub fn new(name: impl Into<String>) -> Self {
        Principal { name: name.into(), ..Principal::default() }
    }

    /// Creates a caller that showed no token: it sees public repositories alone.
    pub fn anonymous() -> Self {
        Principal { anonymous: true, reads_public: true, ..Principal::default() }
    }

    /// Lets it read public repositories also where it has no role.
    #[must_use]
    pub fn with_public_reads(mut self) -> Self {
        self.reads_public = true;
        self
    }

    /// Adds a role in an organisation.
    #[must_use]
    pub fn with_role(mut self, organisation: Slug, role: Role) -> Self {
        self.organisations.insert(organisation, role);
        self
    }

    /// Adds a role in all organisations, also those to come.
    #[must_use]
    pub fn with_role_everywhere(mut self, role: Role) -> Self {
        self.everywhere = Some(role);
        self
    }

    /// Returns its name; empty if it has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether it showed no token.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Tells whether it may read public repositories also where it has no role.
    pub fn reads_public(&self) -> bool {
        self.reads_public
    }

    /// Returns its role in all organisations.
    pub fn role_everywhere(&self) -> Option<Role> {
        self.everywhere
    }

    /// Returns its role in an organisation.
    pub fn role_in(&self, organisation: &Slug) -> Option<Role> {
        self.everywhere.max(self.organisations.get(organisation).copied())
    }

    /// Returns the organisations that it has a role in beside the one everywhere.
    pub fn organisations(&self) -> impl Iterator<Item = &Slug> {
        self.organisations.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_role_counts() {
        let slug = |text: &str| text.parse::<Slug>().unwrap();
        let caller = Principal::new("a").with_role_everywhere(Role::Writer).with_role(slug("x"), Role::Reader);
        assert_eq!(caller.role_in(&slug("x")), Some(Role::Writer));
        let caller = caller.with_role(slug("x"), Role::Admin);
        assert_eq!(caller.role_in(&slug("x")), Some(Role::Admin));
        assert_eq!(caller.role_in(&slug("y")), Some(Role::Writer));
        assert_eq!(Principal::anonymous().role_in(&slug("x")), None);
        assert!(Role::Reader < Role::Writer && Role::Writer < Role::Admin);
    }
}
