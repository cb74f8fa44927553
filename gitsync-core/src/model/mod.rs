//! The domain: what the engine knows about organisations, repositories and their history.

mod branch;
mod commit;
mod commit_object;
mod credential;
mod depth;
mod id;
mod object_id;
mod organisation;
mod page;
mod push_target;
mod ref_name;
mod ref_update;
mod repository;
mod storage;
mod task;

pub use branch::{Branch, RecordedRef};
pub use commit::{Commit, MAX_MESSAGE_BYTES, MAX_SIGNATURE_FIELD_BYTES, Signature};
pub use commit_object::CommitObject;
pub use credential::{SealedCredential, SealedSecret, StoredCredential};
pub use depth::Depth;
pub use id::{CredentialName, KeyId, OrganisationId, RepositoryId, RepositoryName, Slug, StorageName, TaskId};
pub use object_id::{ObjectFormat, ObjectId};
pub use organisation::Organisation;
pub use page::{Cursor, MAX_PAGE_ITEMS, Page, PageRequest};
pub use push_target::{PushCounts, PushStatus, PushTarget};
pub use ref_name::{MAX_REF_NAME_BYTES, RESERVED_NAMESPACE, RefName};
pub use ref_update::{RefChange, RefUpdate};
pub use repository::{Layout, Repository, SourceType, StatusBefore};
pub use storage::{DiskId, KnownStorages, StorageRecord, StorageReport};
pub use task::{Progress, StoredError, Strength, SyncTask, TaskKind, TaskParameters};
