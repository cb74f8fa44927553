//! From the model to messages.

mod credential;
mod push_target;
mod records;
mod repository;
mod spared_host;
mod task;

use std::time::Duration;

use gitsync_core::model::{ObjectId, Organisation, StoredError};
use gitsync_core::{ErrorKind, Timestamp};

use crate::proto;

pub(crate) use credential::credential;
pub(crate) use push_target::push_target;
pub(crate) use records::{branch, commit, public_ref_update, ref_update};
pub(crate) use repository::{public_repository, repository};
pub(crate) use spared_host::spared_host;
pub(crate) use task::task;

pub(crate) fn organisation(organisation: &Organisation) -> proto::Organisation {
    proto::Organisation {
        id: organisation.id.0,
        slug: organisation.slug.to_string(),
        name: organisation.name.clone(),
        created_at: Some(time(organisation.created_at)),
    }
}

fn time(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros().rem_euclid(1_000_000);
    prost_types::Timestamp { seconds: at.as_secs(), nanos: i32::try_from(micros * 1000).unwrap_or(0) }
}

/// Converts a duration; one of more than 10,000 years is cut to that, which is the most the message allows.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    const MAX_SECONDS: u64 = 315_576_000_000;
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs().min(MAX_SECONDS)).unwrap_or(0),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// Returns the kind and the message of a stored error; of what went wrong inside of the server only that it did.
fn shown(error: Option<&StoredError>) -> (String, String) {
    let Some(error) = error else { return (String::new(), String::new()) };
    let message = match error.kind {
        ErrorKind::Internal | ErrorKind::LeaseLost | ErrorKind::Unavailable => "it failed inside of the server",
        ErrorKind::DiskFull => "the server's disk is full",
        _ => &error.message,
    };
    (error.kind.as_str().to_owned(), message.to_owned())
}

fn hash(id: Option<&ObjectId>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}

/// Converts a count; one that does not fit is shown as the most there is.
pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_have_positive_fractions() {
        let at = time(Timestamp::from_micros(-1));
        assert_eq!((at.seconds, at.nanos), (-1, 999_999_000));
        let at = time(Timestamp::from_micros(1_500_000));
        assert_eq!((at.seconds, at.nanos), (1, 500_000_000));
        assert_eq!(duration(Duration::MAX).seconds, 315_576_000_000);
    }

    #[test]
    fn stored_errors_say_nothing_of_the_inside() {
        let stored = |kind| StoredError { kind, message: "cannot read /secret".to_owned() };
        for kind in ErrorKind::ALL {
            let (name, message) = shown(Some(&stored(kind)));
            assert_eq!(name, kind.as_str());
            let is_inside = matches!(
                kind,
                ErrorKind::Internal | ErrorKind::LeaseLost | ErrorKind::Unavailable | ErrorKind::DiskFull
            );
            assert_eq!(message.contains("secret"), !is_inside, "{kind}");
        }
    }
}
