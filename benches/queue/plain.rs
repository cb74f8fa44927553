//! A queue that is one table and two statements.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::task::JoinSet;

use crate::{AT_ONCE, JOBS, WORKERS};

const CLAIM: &str = "
    UPDATE plain_job SET leased_until = now() + interval '1 minute' WHERE id = ANY(ARRAY(
        SELECT id FROM plain_job WHERE leased_until IS NULL AND run_at <= now()
        ORDER BY run_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
    )) RETURNING id";
const FINISH: &str = "DELETE FROM plain_job WHERE id = ANY($1)";

pub(crate) struct Plain(PgPool);

impl Plain {
    pub(crate) async fn create(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(16).connect(url).await?;
        let create = "
            CREATE TABLE plain_job (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_at timestamptz NOT NULL, leased_until timestamptz);
            CREATE INDEX plain_job_waiting ON plain_job (run_at, id) WHERE leased_until IS NULL";
        sqlx::raw_sql(create).execute(&pool).await?;
        Ok(Plain(pool))
    }

    pub(crate) async fn measure(&self) -> Result<Duration> {
        let fill = "INSERT INTO plain_job (run_at) SELECT to_timestamp(n) FROM generate_series(1, $1) AS n";
        sqlx::query(fill).bind(i32::try_from(JOBS)?).execute(&self.0).await?;
        let begin = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            workers.spawn(work(self.0.clone()));
        }
        let mut ended = 0;
        while let Some(worker) = workers.join_next().await {
            ended += worker??;
        }
        let elapsed = begin.elapsed();
        ensure!(ended == u64::try_from(JOBS)?, "{ended} of {JOBS} jobs were ended");
        Ok(elapsed)
    }
}

async fn work(pool: PgPool) -> Result<u64> {
    let mut ended = 0;
    loop {
        let limit = i64::try_from(AT_ONCE)?;
        let claimed: Vec<i64> = sqlx::query_scalar(CLAIM).bind(limit).fetch_all(&pool).await?;
        if claimed.is_empty() {
            return Ok(ended);
        }
        ended += sqlx::query(FINISH).bind(claimed).execute(&pool).await?.rows_affected();
    }
}
