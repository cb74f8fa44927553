//! Push targets.

use gitsync_core::model::{PushStatus, PushTarget};

use super::{count, shown, time};
use crate::proto;

/// Converts a push target.
pub(crate) fn push_target(target: &PushTarget) -> proto::PushTarget {
    let (error_kind, error_message) = shown(target.error.as_ref());
    let status = match target.status() {
        PushStatus::Waiting => "waiting",
        PushStatus::Pushed => "pushed",
        PushStatus::Failed => "failed",
    };
    proto::PushTarget {
        url: target.url.to_string(),
        status: status.to_owned(),
        error_kind,
        error_message,
        failures: i32::try_from(target.failures).unwrap_or(i32::MAX),
        added_at: Some(time(target.added_at)),
        pushed_at: target.pushed_at.map(time),
        retry_at: target.retry_at.map(time),
        updated_refs: count(target.last.updated),
        deleted_refs: count(target.last.deleted),
        sent_objects: count(target.last.objects),
        sent_bytes: count(target.last.bytes),
    }
}
