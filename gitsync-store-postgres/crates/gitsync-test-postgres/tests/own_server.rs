//! A server of one's own.

use gitsync_test_postgres::{OwnServer, execute};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};

#[tokio::test]
async fn what_was_committed_survives_a_stop() {
    let server = OwnServer::start();
    let mut connection = PgConnection::connect(&server.url()).await.expect("it takes connections");
    execute(&mut connection, "CREATE TABLE kept (number int)").await;
    execute(&mut connection, "INSERT INTO kept VALUES (7)").await;
    server.stop();
    assert!(connection.execute("SELECT 1").await.is_err());
    assert!(PgConnection::connect(&server.url()).await.is_err());
    server.start_again();
    let mut connection = PgConnection::connect(&server.url()).await.expect("it takes connections again");
    let kept: i32 = sqlx::query_scalar("SELECT number FROM kept").fetch_one(&mut connection).await.expect("the row");
    assert_eq!(kept, 7);
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}
