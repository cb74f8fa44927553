//! What errors of the database mean.

use std::error::Error as StdError;

use gitsync_core::{Error, ErrorKind};

/// Classifies an error of the database.
pub(crate) fn classify(error: sqlx::Error) -> Error {
    let (kind, message, hint) = match &error {
        sqlx::Error::Database(database) => by_code(&database.code().unwrap_or_default()),
        sqlx::Error::PoolTimedOut => (
            ErrorKind::Unavailable,
            "the database does not answer, or all connections to it are in use",
            Some("try again in a moment"),
        ),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, "the database does not answer", None),
        _ => (ErrorKind::Internal, "the database was asked for something it does not understand", None),
    };
    let classified = Error::new(kind, format!("{message}: {error}"));
    let classified = match hint {
        Some(hint) => classified.hint(hint),
        None => classified,
    };
    classified.caused_by(error)
}

/// Codes are those of the SQL standard and of Postgres; the first two characters are the class.
fn by_code(code: &str) -> (ErrorKind, &'static str, Option<&'static str>) {
    match code {
        "23505" => (ErrorKind::AlreadyExists, "another row has the same identity", None),
        "40001" | "40P01" => {
            (ErrorKind::Unavailable, "others changed the same rows at the same time", Some("try again in a moment"))
        }
        "55P03" => (
            ErrorKind::Unavailable,
            "others keep a row busy",
            Some("try again in a moment; a process that was stopped while it wrote holds others up"),
        ),
        "57014" => (ErrorKind::Unavailable, "the database took too long", Some("try again in a moment")),
        "53100" => (
            ErrorKind::DiskFull,
            "the disk of the database is full",
            Some("free space on the disk that holds the database"),
        ),
        "53300" => (
            ErrorKind::Unavailable,
            "the database has no connection left",
            Some("raise its max_connections, or let each process have fewer"),
        ),
        "25006" => (
            ErrorKind::Unavailable,
            "the database only answers reads",
            Some("give the address of the primary, not of a replica"),
        ),
        "3D000" => (ErrorKind::Unavailable, "the database does not exist", Some("create it first")),
        // Not the caller of a request is refused here, but this process: whoever looks after it has to help.
        "42501" => (
            ErrorKind::Unavailable,
            "the database refused access to a table",
            Some("the user needs to own the schema, or to have all rights on its tables"),
        ),
        "XX001" | "XX002" => (ErrorKind::Corrupt, "the database is damaged", Some("restore it from a backup")),
        _ => match code.get(..2) {
            Some("28") => (
                ErrorKind::Unavailable,
                "the database refused the user or the password",
                Some("look at the user and the password in its address, and at the pg_hba.conf of the server"),
            ),
            // Connections, resources, an administrator's intervention, the system.
            Some("08" | "53" | "57" | "58") => (ErrorKind::Unavailable, "the database cannot be reached", None),
            _ => (ErrorKind::Internal, "the database refused a statement", None),
        },
    }
}

/// Tells whether an error means that the connection is gone.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // An administrator, or the end of the server.
        sqlx::Error::Database(database) => matches!(database.code().as_deref(), Some("57P01" | "57P02" | "57P05")),
        _ => false,
    }
}

/// Tells whether a call failed because its connection is gone.
pub(crate) fn lost_its_connection(error: &Error) -> bool {
    of_the_driver(error).is_some_and(is_lost)
}

/// Tells whether a transaction failed only because of others at the same time: nothing was changed, and it can be done
/// again.
pub(crate) fn is_worth_repeating(error: &Error) -> bool {
    let Some(sqlx::Error::Database(database)) = of_the_driver(error) else { return false };
    matches!(database.code().as_deref(), Some("40001" | "40P01"))
}

/// Tells whether the database refused a statement. What was in the way of calls that were done together may be the fault of one
/// of them.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(of_the_driver(error), Some(sqlx::Error::Database(_)))
}

/// Returns what the driver said, if an error comes from there.
fn of_the_driver(error: &Error) -> Option<&sqlx::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_is_worth_a_retry() {
        assert_eq!(by_code("23505").0, ErrorKind::AlreadyExists);
        assert_eq!(by_code("40P01").0, ErrorKind::Unavailable);
        assert_eq!(by_code("57P01").0, ErrorKind::Unavailable, "an administrator stops the database");
        assert_eq!(by_code("53100").0, ErrorKind::DiskFull);
        assert_eq!(by_code("28P01").0, ErrorKind::Unavailable, "no caller can help that");
        assert_eq!(by_code("42703").0, ErrorKind::Internal);
        assert_eq!(by_code("").0, ErrorKind::Internal);
        assert!(classify(sqlx::Error::PoolTimedOut).is_retryable());
    }
}
