//! The domain: what the engine knows about organisations, repositories and their history.

mod commit;
mod id;
mod object_id;
mod ref_name;
mod task;

pub use commit::{Commit, MAX_MESSAGE_BYTES, MAX_SIGNATURE_FIELD_BYTES, Signature};
pub use id::{OrganisationId, RepositoryId, RepositoryName, Slug, StorageName, TaskId};
pub use object_id::{ObjectFormat, ObjectId};
pub use ref_name::{MAX_REF_NAME_BYTES, RESERVED_NAMESPACE, RefName};
pub use task::{Progress, StoredError, Strength, SyncTask, TaskKind, TaskParameters};
