//! Processes take turns writing.
//!
//! SQLite lets one writer in at a time, but not in any order: those who wait look again every now and then, and one that
//! writes without pause can keep them out for good. So there are two locked files in front of it. Whoever wants to write
//! waits first at the gate, then for the turn, and opens the gate when it has it. One that comes back from its turn finds
//! the next one at the gate, and is behind it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use gitsync_core::{Error, ErrorKind, Result};

use crate::SqliteOptions;

/// The queue of those who want to write.
#[derive(Debug)]
pub(crate) struct Turns {
    gate: File,
    turn: File,
    patience: Duration,
}

impl Turns {
    pub(crate) fn open(options: &SqliteOptions) -> Result<Self> {
        let open = |ending| -> Result<File> {
            let path = options.beside(ending);
            // Whoever may open it may lock it, and keep all writers out.
            let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
            file.map_err(|error| Error::from(error).with("path", path.display()))
        };
        Ok(Turns { gate: open("-gate")?, turn: open("-turn")?, patience: options.patience })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it does not come in time.
    pub(crate) async fn take(&self) -> Result<Turn<'_>> {
        let deadline = Instant::now() + self.patience;
        let gate = lock(&self.gate, deadline).await?;
        let turn = lock(&self.turn, deadline).await;
        drop(gate);
        turn
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'f>(&'f File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // It could only fail for a file that is not locked.
        let _ = self.0.unlock();
    }
}

async fn lock(file: &File, deadline: Instant) -> Result<Turn<'_>> {
    const PAUSE: Duration = Duration::from_millis(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Turn(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(ErrorKind::Unavailable, "another process keeps the database busy")
                    .hint("try again in a moment; a process that was stopped while it wrote holds all others up"));
            }
            Err(TryLockError::Error(error)) => return Err(Error::from(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_waited_for_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(directory.path().join("db")).patience(Duration::from_millis(30));
        let (mine, theirs) = (Turns::open(&options).unwrap(), Turns::open(&options).unwrap());
        let turn = mine.take().await.unwrap();
        assert_eq!(theirs.take().await.unwrap_err().kind(), ErrorKind::Unavailable);
        drop(turn);
        assert!(theirs.take().await.is_ok());
    }

    #[tokio::test]
    async fn one_that_comes_back_is_behind_who_waits() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(directory.path().join("db"));
        let (mine, theirs) = (Turns::open(&options).unwrap(), Turns::open(&options).unwrap());
        let turn = mine.take().await.unwrap();
        let waiter = tokio::spawn(async move {
            let _turn = theirs.take().await.unwrap();
            Instant::now()
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(turn);
        let _turn = mine.take().await.unwrap();
        assert!(waiter.await.unwrap() <= Instant::now());
    }
}
