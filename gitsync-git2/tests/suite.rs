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
        .push_host("127.0.0.1")
        .expect("a pattern")
        .push_root(std::env::temp_dir())
        .build()
        .expect("a policy");
    Subject::new(Git2Backend::default(), NetTransport::new(policy, NetOptions::default()))
}

gitsync_core::backend_suite!(subject);

/// The table in the documentation is what comes out here; `GITSYNC_UPDATE=1` writes it anew.
#[tokio::test]
async fn the_documented_agreement_with_git_is_true() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/agreement.md");
    let found = gitsync_core::testing::agreement::report(&subject()).await;
    if std::env::var_os("GITSYNC_UPDATE").is_some() {
        std::fs::write(file, &found).expect("the file can be written");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap_or_default(), found);
}
