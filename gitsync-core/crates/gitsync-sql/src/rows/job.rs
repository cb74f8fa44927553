//! Rows of jobs.

use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimedJob, Lane, Lease, NewJob};
use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};

use crate::schema::job::{
    ABANDONED_AT, ATTEMPT, CANCEL_REQUESTED, COUNTED, DEADLINE_AT, EPOCH, HOST, ID, LEASED_UNTIL, PRIORITY, RUN_AT,
    STORAGE,
};
use crate::statement::Record;
use crate::{Row, Value};

/// What ends or extends a claim looks at.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) id: TaskId,
    pub(crate) host: HostKey,
    pub(crate) attempt: u32,
    pub(crate) epoch: i64,
    pub(crate) leased_until: Option<Timestamp>,
    pub(crate) deadline_at: Option<Timestamp>,
    pub(crate) counted: bool,
    pub(crate) cancel_requested: bool,
}

impl JobRow {
    /// Tells whether a lease is good.
    pub(crate) fn is_held_by(&self, lease: Lease, now: Timestamp) -> bool {
        self.id == lease.id && self.epoch == lease.epoch && self.leased_until.is_some_and(|until| now < until)
    }

    /// Returns the count of attempts if the present one does not count.
    pub(crate) fn attempt_given_back(&self) -> u32 {
        if self.counted { self.attempt.saturating_sub(1) } else { self.attempt }
    }
}

/// Returns the row of a job that waits.
pub(crate) fn record(job: &NewJob) -> Record {
    vec![
        (ID, job.id.into()),
        (STORAGE, job.lane.storage.as_str().into()),
        (HOST, job.lane.host.as_str().into()),
        (PRIORITY, job.priority.into()),
        (RUN_AT, job.run_at.into()),
        (ATTEMPT, job.attempt.into()),
        (EPOCH, job.epoch.into()),
        (LEASED_UNTIL, Value::Int(None)),
        (DEADLINE_AT, Value::Int(None)),
        (COUNTED, false.into()),
        (ABANDONED_AT, Value::Int(None)),
        (CANCEL_REQUESTED, false.into()),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<JobRow> {
    Ok(JobRow {
        id: row.task_id(ID)?,
        host: row.parsed(HOST, str::parse)?,
        attempt: row.number(ATTEMPT)?,
        epoch: row.int(EPOCH)?,
        leased_until: row.opt_timestamp(LEASED_UNTIL)?,
        deadline_at: row.opt_timestamp(DEADLINE_AT)?,
        counted: row.boolean(COUNTED)?,
        cancel_requested: row.boolean(CANCEL_REQUESTED)?,
    })
}

/// Reads a job that was just claimed.
pub(crate) fn read_claimed(row: &mut Row) -> Result<ClaimedJob> {
    Ok(ClaimedJob {
        lease: Lease { id: row.task_id(ID)?, epoch: row.int(EPOCH)? },
        lane: Lane { storage: row.parsed(STORAGE, str::parse)?, host: row.parsed(HOST, str::parse)? },
        attempt: row.number(ATTEMPT)?,
        exhausted: !row.boolean(COUNTED)?,
    })
}
