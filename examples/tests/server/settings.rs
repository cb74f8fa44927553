//! Settings that are wrong, odd, or without effect.

use crate::support::example;
use crate::world::Server;

#[test]
fn settings_with_which_nothing_would_work_are_refused() {
    let data = tempfile::tempdir().unwrap();
    for (setting, value, why) in [
        ("GITSYNC_HOST_CONCURRENCY", "0", "0 is not in 1.."),
        ("GITSYNC_WORKERS", "0", "at least 1"),
        ("GITSYNC_ALLOW_OPEN", "perhaps", "invalid value"),
        ("GITSYNC_RETRY_DELAYS", "60,", "invalid value"),
        ("RUST_LOG", "info,gitsync_core=loud", "RUST_LOG"),
        ("DATABASE_URL", "sqlite::memory:", "the database is a file"),
        ("DATABASE_URL", "sqlite://", "the database is a file"),
        ("GITSYNC_SHARED_STORAGES", "other", "not among the storages"),
    ] {
        let mut command = example("server", data.path());
        let output = command.env("GITSYNC_LISTEN_ADDR", "192.0.2.1:0").env(setting, value).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{setting}={value}: {output:?}");
    }
}

#[test]
fn switches_and_lists_in_the_environment_are_read_as_people_write_them() {
    let data = tempfile::tempdir().unwrap();
    // Without tokens it does not listen there, unless the switch is on: then there is no such address here.
    let said = |value: &str| {
        let mut command = example("server", data.path());
        command.env("GITSYNC_LISTEN_ADDR", "192.0.2.1:0").env("GITSYNC_ALLOW_OPEN", value);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    for on in ["true", "1", "yes", "on", "TRUE"] {
        assert!(said(on).contains("cannot be bound"), "{on}: {}", said(on));
    }
    for off in ["false", "0", "no", "off"] {
        assert!(said(off).contains("loopback"), "{off}: {}", said(off));
    }

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start_with(data.path(), &[], &[("GITSYNC_RETRY_DELAYS", "")]);
    let output = server.run(&["create", "acme/mirror", &format!("http://{closed}/a.git")]);
    assert!(!output.status.success(), "it failed at once, and is not tried again: {output:?}");
    assert_eq!(server.json(&["tasks", "acme/mirror"])[0]["status"], "failed");
}

#[test]
fn settings_without_effect_are_told_in_the_log() {
    let data = tempfile::tempdir().unwrap();
    let mut command = example("server", data.path());
    command
        .env("GITSYNC_TOKENS_FILE", "missing.toml")
        .env("DATABASE_URL", "sqlite::memory:")
        .env("GITSYNC_ROLES", "worker");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--tokens-file has no effect"), "{said}");
}
