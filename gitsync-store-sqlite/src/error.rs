//! What errors of the database mean.

use gitsync_core::{Error, ErrorKind};

/// Primary result codes of SQLite; an extended one has its primary one in the low byte.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const NOTADB: i32 = 26;
}

/// Classifies an error of the database.
pub(crate) fn classify(error: sqlx::Error) -> Error {
    let (kind, message, hint) = match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            (ErrorKind::AlreadyExists, "another row has the same identity", None)
        }
        sqlx::Error::Database(database) => {
            // The driver gives the extended code as text.
            let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
            by_code(code & 0xff)
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => {
            (ErrorKind::Unavailable, "the database does not answer", None)
        }
        _ => (ErrorKind::Internal, "the database was asked for something it does not understand", None),
    };
    let classified = Error::new(kind, format!("{message}: {error}"));
    let classified = match hint {
        Some(hint) => classified.hint(hint),
        None => classified,
    };
    classified.caused_by(error)
}

fn by_code(code: i32) -> (ErrorKind, &'static str, Option<&'static str>) {
    match code {
        code::BUSY | code::LOCKED | code::PROTOCOL => {
            (ErrorKind::Unavailable, "another process keeps the database busy", Some("try again in a moment"))
        }
        code::FULL => (
            ErrorKind::DiskFull,
            "the disk of the database is full",
            Some("free space on the disk that holds the database"),
        ),
        code::CORRUPT | code::NOTADB => (
            ErrorKind::Corrupt,
            "the database file is damaged, or is not one",
            Some("restore it from a backup; `PRAGMA integrity_check` says what is wrong"),
        ),
        // Not the caller of a request is refused here, but this process.
        code::PERM | code::READONLY => (
            ErrorKind::Unavailable,
            "the database cannot be written",
            Some("the process needs write access to the database and its directory"),
        ),
        code::CANTOPEN => (
            ErrorKind::Unavailable,
            "the database cannot be opened",
            Some("check that its directory exists and that the process may write there"),
        ),
        code::IOERR | code::NOMEM => (ErrorKind::Unavailable, "the database cannot be reached", None),
        _ => (ErrorKind::Internal, "the database refused a statement", None),
    }
}

/// Makes of the failure of a transaction what all who took part in it are told.
pub(crate) fn not_committed(cause: &Error) -> Error {
    let error = Error::new(ErrorKind::Unavailable, format!("the change was not committed: {}", cause.message()));
    match cause.hint_text() {
        Some(hint) => error.hint(hint),
        None => error,
    }
    .caused_by(cause.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_is_worth_a_retry() {
        assert_eq!(by_code(code::BUSY).0, ErrorKind::Unavailable);
        assert_eq!(by_code(code::FULL).0, ErrorKind::DiskFull);
        assert_eq!(by_code(code::NOTADB).0, ErrorKind::Corrupt);
        assert_eq!(by_code(1).0, ErrorKind::Internal);
        assert!(classify(sqlx::Error::PoolTimedOut).is_retryable());
        assert_eq!(not_committed(&Error::new(ErrorKind::DiskFull, "full")).kind(), ErrorKind::Unavailable);
    }
}
