//! How a source policy is put together.

use std::path::PathBuf;

use super::policy::{SourcePolicy, unresolved};
use super::url::Scheme;
use crate::error::Result;

/// Builds a [`SourcePolicy`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SourcePolicyBuilder {
    policy: SourcePolicy,
}

impl SourcePolicyBuilder {
    pub(super) fn new() -> Self {
        SourcePolicyBuilder { policy: SourcePolicy::default() }
    }

    /// Sets which schemes are allowed, instead of `https` and `ssh`.
    pub fn schemes(mut self, schemes: impl IntoIterator<Item = Scheme>) -> Self {
        self.policy.schemes = schemes.into_iter().collect();
        self
    }

    /// Sets whether addresses of private networks, this machine included, may be connected to.
    pub fn allow_private_networks(mut self, allow: bool) -> Self {
        self.policy.allow_private_networks = allow;
        self
    }

    /// Adds [patterns](super::HostPattern) for the only hosts that are allowed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what is no pattern.
    pub fn allowed_hosts<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        for pattern in patterns {
            self.policy.allowed_hosts.push(pattern.parse()?);
        }
        Ok(self)
    }

    /// Adds [patterns](super::HostPattern) for hosts that are refused.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what is no pattern.
    pub fn denied_hosts<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        for pattern in patterns {
            self.policy.denied_hosts.push(pattern.parse()?);
        }
        Ok(self)
    }

    /// Sets the only ports that may be connected to, instead of all.
    pub fn allowed_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.policy.ports = Some(ports.into_iter().collect());
        self
    }

    /// Adds a directory file sources may lie in. It must exist when the policy is built; `file` must be among the schemes too.
    pub fn file_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.policy.file_roots.push(root.into());
        self
    }

    /// Adds a [pattern](super::HostPattern) for hosts that may be pushed to. Without any, none may. It is compared with the host as
    /// the target writes it, since credentials are of that; what is asked of every host is asked of these too.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what is no pattern.
    pub fn push_host(mut self, pattern: &str) -> Result<Self> {
        self.policy.push_hosts.push(pattern.parse()?);
        Ok(self)
    }

    /// Adds a directory in which push targets may lie that are files; the rest is as for
    /// [`file_root`](SourcePolicyBuilder::file_root). Sources are not read from there.
    pub fn push_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.policy.push_roots.push(root.into());
        self
    }

    /// Finishes the policy.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if a file root or push root does not exist.
    pub fn build(mut self) -> Result<SourcePolicy> {
        for root in &mut self.policy.file_roots {
            *root = root.canonicalize().map_err(|error| unresolved("file_roots", root, error))?;
        }
        for root in &mut self.policy.push_roots {
            *root = root.canonicalize().map_err(|error| unresolved("push_roots", root, error))?;
        }
        Ok(self.policy)
    }
}
