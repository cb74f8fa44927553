//! Opening: new files, files of others, many at once.

mod support;

use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::{ErrorKind, Store, SystemClock};
use gitsync_sql::{Dialect, migrations};
use gitsync_store_sqlite::SqliteStore;
use sqlx::Executor;

use support::{connect, open, place, slug};

async fn refused(path: &std::path::Path) -> ErrorKind {
    let opened = SqliteStore::open(path, Arc::new(SystemClock), QueueLimits::default()).await;
    opened.expect_err("it must not be opened").kind()
}

#[tokio::test]
async fn the_directory_is_made_and_the_schema_is_applied_once() {
    let (directory, _) = place();
    let path = directory.path().join("a/b/gitsync.db");
    open(path.as_path()).await.create_organisation(&slug("a"), "A").await.unwrap();
    assert_eq!(open(path.as_path()).await.organisation_by_slug(&slug("a")).await.unwrap().name, "A");
    let mut connection = connect(&path).await;
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM schema_migration").fetch_all(&mut connection).await.unwrap();
    assert_eq!(versions, migrations().iter().map(|step| step.version).collect::<Vec<_>>());
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_file_at_once() {
    let (_directory, path) = place();
    let opening: Vec<_> = (0..8)
        .map(|n| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(path).await;
                store.create_organisation(&slug(&format!("o{n}")), "O").await.unwrap();
            })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap();
    }
    let store = open(path).await;
    for n in 0..8 {
        store.organisation_by_slug(&slug(&format!("o{n}"))).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (_directory, path) = place();
    open(path.as_path()).await;
    connect(&path).await.execute("INSERT INTO schema_migration VALUES (999, 'future', 0)").await.unwrap();
    assert_eq!(refused(&path).await, ErrorKind::Unsupported);
}

/// What served a storage before disks were told apart serves it on for the rest of its minute.
#[tokio::test]
async fn a_storage_of_an_older_version_is_known_and_its_disk_is_not() {
    let (_directory, path) = place();
    open(path.as_path()).await;
    let mut connection = connect(&path).await;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name != 'schema_migration'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    connection.execute("PRAGMA foreign_keys = OFF; DELETE FROM schema_migration WHERE version > 3").await.unwrap();
    let dropped = tables.iter().map(|table| format!("DROP TABLE {table}"));
    let made = migrations()[..3].iter().flat_map(|step| step.statements(Dialect::Sqlite));
    for statement in dropped.chain(made) {
        connection.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    let row =
        "INSERT INTO storage (name, host, is_shared, free_bytes, seen_at) VALUES ('disk', 'here', FALSE, 7, 1000000)";
    connection.execute(row).await.unwrap();

    let store = open(path.as_path()).await;
    let [found] = &store.storages().await.unwrap().storages[..] else { panic!("there is one") };
    assert_eq!((found.disk, found.machine.as_str(), found.free_bytes), (None, "here", 7));
    assert_eq!((found.seen_at.as_secs(), found.served_until.as_secs()), (1, 61));
}

#[tokio::test]
async fn what_is_no_database_is_not_overwritten() {
    let (_directory, path) = place();
    let text = "This is not a database, but it is longer than the header of one. ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(refused(&path).await, ErrorKind::Corrupt);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused() {
    let (directory, path) = place();
    std::fs::write(&path, "").unwrap();
    assert_ne!(refused(&path.join("below-a-file.db")).await, ErrorKind::Corrupt);
    assert!(directory.path().exists());
}

#[tokio::test]
async fn nobody_else_may_read_the_database_or_lock_writers_out() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = place();
    let store = open(path.as_path()).await;
    store.create_organisation(&slug("a"), "A").await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}: {mode:o}", entry.path().display());
    }
}
