//! Errors as callers see them: a canonical code, a message for people, and google.rpc details for programs.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use gitsync_core::{Error, ErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Who names the reasons in `ErrorInfo`.
const DOMAIN: &str = "gitsync";

/// When to try again where the error does not say.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Converts an error. Where it names a field, that is one of the request.
pub(crate) fn status(error: Error) -> Status {
    let field = error.field().map(str::to_owned);
    build(error, field)
}

/// Converts an error about a field of the request, such as `source_url`.
pub(crate) fn at(field: &'static str) -> impl Fn(Error) -> Status {
    move |error| build(error, Some(field.to_owned()))
}

/// Converts an error. Where it names a field, that is one of this message in the request.
pub(crate) fn within(message: &'static str) -> impl Fn(Error) -> Status {
    move |error| {
        let field = error.field().map(|field| format!("{message}.{field}"));
        build(error, field)
    }
}

/// Refuses a field of the request.
pub(crate) fn refused(field: &'static str, why: &str) -> Status {
    at(field)(Error::new(ErrorKind::InvalidInput, why))
}

fn build(error: Error, field: Option<String>) -> Status {
    let (kind, message) = (shown_kind(&error), message(&error));
    let mut metadata = HashMap::from([("kind".to_owned(), kind.as_str().to_owned())]);
    if let Some(hint) = error.hint_text().filter(|_| !is_inside(&error)) {
        metadata.insert("hint".to_owned(), hint.to_owned());
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(kind.as_str().to_ascii_uppercase(), DOMAIN, metadata);
    if let Some(field) = field {
        details.add_bad_request_violation(field, message.clone());
    }
    if let Some(pause) = error.retry_after().or((code(kind) == Code::Unavailable).then_some(RETRY_AFTER)) {
        details.set_retry_info(Some(pause));
    }
    Status::with_error_details(code(kind), message, details)
}

/// What went wrong and what helps. What happens inside is for the log alone.
fn message(error: &Error) -> String {
    let hint = error.hint_text();
    if !is_inside(error) {
        return hint.map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"));
    }
    let source = error.source().map(tracing::field::display);
    match error.kind() {
        ErrorKind::Unavailable => {
            tracing::warn!(%error, hint, source, "a request failed");
            "the service is away for the moment; try again".to_owned()
        }
        ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            tracing::warn!(%error, hint, source, "a request failed");
            "the request clashes with what is there by now".to_owned()
        }
        _ => {
            tracing::error!(%error, hint, source, "a request failed");
            "the request failed inside of the server".to_owned()
        }
    }
}

/// Tells whether an error is about the server, and not about what was asked of it: it may name files, machines and users.
fn is_inside(error: &Error) -> bool {
    use ErrorKind::{AlreadyExists, Conflict, Corrupt, DiskFull, Internal, LeaseLost, PermissionDenied, Unavailable};

    match error.kind() {
        Unavailable | Internal | Corrupt | LeaseLost | DiskFull => true,
        // Our own words, unless a database or a file system said it.
        PermissionDenied | AlreadyExists | Conflict => is_foreign(error),
        _ => false,
    }
}

/// Tells whether the error was made of one of another library, whose words it may repeat.
fn is_foreign(error: &Error) -> bool {
    error.source().is_some_and(|source| !source.is::<Error>())
}

/// Returns the kind that the caller is told: what the server itself may not do is no matter of the caller's rights.
fn shown_kind(error: &Error) -> ErrorKind {
    match error.kind() {
        ErrorKind::PermissionDenied if is_foreign(error) => ErrorKind::Internal,
        kind => kind,
    }
}

/// Returns the canonical code of a kind.
fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound | ErrorKind::SourceNotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::Conflict
        | ErrorKind::SourceRedirected
        | ErrorKind::UpstreamShrank
        | ErrorKind::SourceUnreachable => Code::FailedPrecondition,
        // The request has to change: the policy will not.
        ErrorKind::InvalidInput | ErrorKind::SourceRefused => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::RateLimited | ErrorKind::DiskFull | ErrorKind::LimitExceeded => Code::ResourceExhausted,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::LeaseLost => Code::Aborted,
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Unavailable => Code::Unavailable,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_say_what_a_program_needs() {
        let error =
            Error::new(ErrorKind::RateLimited, "too many requests").retry_in(Duration::from_secs(7)).hint("wait");
        let status = status(error);
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "too many requests; wait"));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RATE_LIMITED", "gitsync"));
        assert_eq!((info.metadata["kind"].as_str(), info.metadata["hint"].as_str()), ("rate_limited", "wait"));
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));

        let status = at("name")(Error::new(ErrorKind::InvalidInput, "it is empty"));
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "name");
        assert!(details.retry_info().is_none());

        let field = |status: Status| status.get_details_bad_request().unwrap().field_violations[0].field.clone();
        let error = Error::new(ErrorKind::InvalidInput, "it is too long").in_field("description");
        assert_eq!(field(super::status(error.clone())), "description");
        assert_eq!(field(within("repository")(error)), "repository.description");
        assert!(within("repository")(Error::new(ErrorKind::Conflict, "no")).get_details_bad_request().is_none());
    }

    #[test]
    fn what_happens_inside_stays_inside() {
        use ErrorKind::*;

        let said = |kind| {
            Error::new(kind, "cannot read /secret/path").with("path", "/secret/path").hint("free space on /secret")
        };
        let foreign = || std::io::Error::other("no entry for user secret");
        let shown = |error: Error| {
            let status = status(error);
            (status.code(), status.message().to_owned(), format!("{status:?}{:?}", status.get_error_details()))
        };
        for kind in [Unavailable, Internal, Corrupt, LeaseLost, DiskFull] {
            for error in [said(kind), said(kind).caused_by(foreign())] {
                let (_, message, all) = shown(error);
                assert!(!message.is_empty() && !all.contains("secret"), "{kind}: {all}");
            }
        }
        // What the engine says in its own words is for the caller, unless it repeats those of others.
        for (kind, code) in [
            (PermissionDenied, Code::Internal),
            (AlreadyExists, Code::AlreadyExists),
            (Conflict, Code::FailedPrecondition),
        ] {
            let (found, message, all) = shown(said(kind).caused_by(foreign()));
            assert!(!message.is_empty() && !all.contains("secret"), "{kind}: {all}");
            assert_eq!(found, code, "{kind}");
            for error in [said(kind), said(kind).caused_by(said(kind).caused_by(foreign()))] {
                let (_, message, all) = shown(error);
                assert!(message.contains("secret") && !all.contains("no entry"), "{kind}: {all}");
            }
        }
        let denied = status(Error::from(std::io::Error::from(std::io::ErrorKind::PermissionDenied)));
        assert_eq!((denied.code(), crate::client::kind(&denied).as_deref()), (Code::Internal, Some("internal")));
        // What is wrong with a request is said, whoever found it.
        let (_, message, _) = shown(said(InvalidInput).caused_by(foreign()));
        assert!(message.contains("secret"), "{message}");
    }

    #[test]
    fn only_defects_are_internal() {
        let internal = ErrorKind::ALL.into_iter().filter(|kind| code(*kind) == Code::Internal);
        assert_eq!(internal.collect::<Vec<_>>(), [ErrorKind::Internal]);
        assert!(ErrorKind::ALL.into_iter().all(|kind| code(kind) != Code::Unknown));
    }
}
