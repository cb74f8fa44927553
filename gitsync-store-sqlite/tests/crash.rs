//! What was answered is there after a crash, and nothing half.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gitsync_core::Store;
use gitsync_core::model::PageRequest;

use support::{connect, open, place, slug};

const PATH: &str = "GITSYNC_TEST_CRASH_PATH";
const NAME: &str = "GITSYNC_TEST_CRASH_NAME";

#[tokio::test]
async fn a_store_that_was_never_closed_is_opened_again() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    store.create_organisation(&slug("a"), "A").await.unwrap();
    std::mem::forget(store);
    open(path.as_path()).await.organisation_by_slug(&slug("a")).await.unwrap();
}

/// Not a test: the process that is killed. It says what was answered.
#[tokio::test]
#[ignore = "run by the test below, as a process of its own"]
async fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var(PATH) else { return };
    let name = std::env::var(NAME).unwrap();
    let store = open(PathBuf::from(path)).await;
    for n in 0.. {
        let slug = slug(&format!("{name}-{n}"));
        store.create_organisation(&slug, "O").await.unwrap();
        println!("\nanswered {slug}");
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test]
async fn processes_share_a_file_and_nothing_answered_is_lost_when_they_are_killed() {
    let (_directory, path) = place();
    let start = |name: &str| -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(PATH, &path)
            .env(NAME, name)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for round in 0..3 {
        let mut children = [start(&format!("a{round}")), start(&format!("b{round}"))];
        let mut answered = Vec::new();
        for child in &mut children {
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let names = lines.filter_map(|line| line.unwrap().strip_prefix("answered ").map(str::to_owned));
            answered.extend(names.take(30));
        }
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(answered.len(), 60);
        let store = open(path.as_path()).await;
        for name in &answered {
            store.organisation_by_slug(&slug(name)).await.unwrap();
        }
        store.list_organisations(&PageRequest::new(1000, None).unwrap()).await.unwrap();
    }
    let verdict: String =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connect(&path).await).await.unwrap();
    assert_eq!(verdict, "ok");
}
