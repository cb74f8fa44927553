//! The conformance suite of the core.

use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::testing::backend_suite::Subject;
use gitsync_git2::Git2Backend;
use gitsync_transport::{NetOptions, NetTransport};

fn subject() -> Subject {
    let policy = SourcePolicy::builder()
        .schemes([Scheme::Http, Scheme::File])
        .allow_private_networks(true)
        .file_root(std::env::temp_dir())
        .build()
        .expect("a policy");
    Subject::new(Git2Backend::default(), NetTransport::new(policy, NetOptions::default()))
}

gitsync_core::backend_suite!(subject);
