//! Statements alone: reads, and claims. A transaction around one would say nothing more, and take two ways more to the database.

use gitsync_core::{Error, Result};
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::PostgresStore;
use crate::connection::Attached;
use crate::error::{classify, lost_its_connection};

/// A connection for one statement.
#[derive(Debug)]
pub(crate) struct Glance {
    connection: PoolConnection<Postgres>,
}

impl Glance {
    pub(crate) async fn begin(store: &PostgresStore) -> Result<Self> {
        Ok(Glance { connection: store.pool.acquire().await.map_err(classify)? })
    }

    /// Returns what the operation works on. It does not tell the time.
    pub(crate) fn attach(&mut self) -> Attached<'_> {
        Attached::new(&mut self.connection, None)
    }
}

/// Tells whether it is done again, on another connection: whether one still works is not asked before, and those that were idle
/// may all be gone since the server was started again.
pub(crate) fn is_done_again<T>(outcome: &Result<T>, idle: &mut usize) -> bool {
    let again = *idle > 0 && outcome.as_ref().is_err_and(|error: &Error| lost_its_connection(error));
    *idle = idle.saturating_sub(1);
    again
}

/// Does what is a single statement and only reads. It is a macro for the reason that `in_transaction!` is one.
macro_rules! at_a_glance {
    ($store:expr, |$connection:ident| $work:expr) => {{
        let mut idle = $store.pool.num_idle();
        loop {
            let mut glance = $crate::glance::Glance::begin($store).await?;
            let outcome = {
                let mut attached = glance.attach();
                let $connection = &mut attached;
                $work.await
            };
            if !$crate::glance::is_done_again(&outcome, &mut idle) {
                break outcome;
            }
        }
    }};
}
pub(crate) use at_a_glance;
