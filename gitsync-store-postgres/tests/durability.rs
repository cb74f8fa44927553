//! What waits for the disk, and what does not.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use gitsync_core::queue::{ClaimRequest, JobEnd, JobOutcome, JobQueue, QueueLimits};
use gitsync_core::testing::ManualClock;
use gitsync_test_postgres::{Database, execute};

use support::{job, open};

gitsync_test_postgres::keeper!();

#[tokio::test]
async fn a_claim_waits_for_the_disk_and_what_can_be_repeated_does_not() {
    let database = Database::create().await;
    let mut connection = database.connect().await;
    // The server of the tests waits for nothing.
    execute(
        &mut connection,
        "CREATE TABLE noted (place bigint GENERATED ALWAYS AS IDENTITY, setting text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO noted (setting) VALUES (current_setting('synchronous_commit'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON job FOR EACH ROW EXECUTE FUNCTION note();
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$",
    )
    .await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    store.enqueue(&[job("a.example")]).await.unwrap();
    let request = ClaimRequest { limit: 1, storages: vec!["default".parse().unwrap()] };
    let lease = store.claim(&request).await.unwrap()[0].lease;
    store.heartbeat(&[lease]).await.unwrap();
    store.finish(&[JobEnd::new(lease, JobOutcome::Done)]).await.unwrap();
    let noted: Vec<String> =
        sqlx::query_scalar("SELECT setting FROM noted ORDER BY place").fetch_all(&mut connection).await.unwrap();
    assert_eq!(noted, ["off", "on", "off", "off"], "enqueued, claimed, extended, ended");
}
