//! Commits as rows of values, without a store.

use std::time::{Duration, Instant};

use anyhow::Result;
use gitsync_core::model::Commit;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

/// The most rows of one statement: it has fifteen parameters for each, and larger ones were not faster.
const ROWS: usize = 500;

pub(crate) struct Values {
    connection: PgConnection,
    rounds: i64,
}

impl Values {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(Values { connection: PgConnection::connect(url).await?, rounds: 0 })
    }

    /// Writes the commits of a repository that no other has.
    pub(crate) async fn record(&mut self, commits: &[Commit]) -> Result<Duration> {
        self.rounds += 1;
        let repository = -self.rounds;
        let begin = Instant::now();
        for batch in commits.chunks(super::BATCH) {
            let mut transaction = self.connection.begin().await?;
            for rows in batch.chunks(ROWS) {
                insertion(repository, rows).build().execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        }
        Ok(begin.elapsed())
    }
}

fn insertion(repository: i64, commits: &[Commit]) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("INSERT INTO git_commit ");
    query.push_values(commits, |mut row, commit| {
        let parents: Vec<u8> = commit.parents.iter().flat_map(|parent| parent.as_bytes().to_vec()).collect();
        row.push_bind(repository).push_bind(commit.id.as_bytes().to_vec()).push_bind(parents);
        for signature in [&commit.author, &commit.committer] {
            row.push_bind(signature.name.clone()).push_bind(signature.email.clone());
            row.push_bind(signature.seconds).push_bind(i64::from(signature.offset_minutes));
        }
        row.push_bind(commit.message.clone()).push_bind(commit.message_cut).push_bind(1_i64).push_bind(None::<i64>);
    });
    query.push(
        " ON CONFLICT (repository_id, object_id) DO UPDATE
            SET recorded_by_fence = excluded.recorded_by_fence, orphaned_at = excluded.orphaned_at
            WHERE git_commit.recorded_by_fence <> excluded.recorded_by_fence OR git_commit.orphaned_at IS NOT NULL",
    );
    query
}
