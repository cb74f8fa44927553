//! Stored credentials.

use gitsync_core::model::StoredCredential;

use super::time;
use crate::proto;

/// Converts what is known of stored credentials.
pub(crate) fn credential(credential: &StoredCredential) -> proto::Credential {
    proto::Credential {
        organisation_id: credential.organisation.0,
        name: credential.name.to_string(),
        scope: credential.scope.to_string(),
        kind: credential.kind.as_str().to_owned(),
        created_at: Some(time(credential.created_at)),
        updated_at: Some(time(credential.updated_at)),
    }
}
