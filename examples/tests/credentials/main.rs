//! Private repositories, and tokens that are rotated and revoked, with both engines over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hundred;
mod one;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::testing::SmartHttpServer;

/// Writes a credentials file with a secret of some kind, in the place of the one that is there.
fn write_file(directory: &Path, server: &SmartHttpServer, kind: &str, secret: &str) -> PathBuf {
    let text = format!("[[credentials]]\nhost = \"{}\"\n{kind} = \"{secret}\"\n", server.address());
    let (path, new) = (directory.join("credentials.toml"), directory.join("new"));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, &path).unwrap();
    path
}

fn policy() -> SourcePolicy {
    SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true).build().unwrap()
}
