//! What is recorded of a repository's content.

use gitsync_core::model::{Branch, Commit, RefChange, RefUpdate, Signature};

use super::{count, hash, text, time};
use crate::proto;

pub(crate) fn branch(branch: &Branch) -> proto::Branch {
    proto::Branch {
        name: text(branch.name.short()),
        commit_hash: branch.commit.to_string(),
        is_default: branch.is_default,
        raw_name: branch.name.short().to_vec().into(),
    }
}

pub(crate) fn commit(commit: &Commit) -> proto::Commit {
    proto::Commit {
        hash: commit.id.to_string(),
        parent_hashes: commit.parents.iter().map(ToString::to_string).collect(),
        author: Some(signature(&commit.author)),
        committer: Some(signature(&commit.committer)),
        message: commit.message.clone(),
        message_cut: commit.message_cut,
    }
}

fn signature(signature: &Signature) -> proto::Signature {
    proto::Signature {
        name: signature.name.clone(),
        email: signature.email.clone(),
        seconds: signature.seconds,
        offset_minutes: signature.offset_minutes,
    }
}

/// Converts an entry of the log for those who see the repository only because it is public: tasks are not public.
pub(crate) fn public_ref_update(update: &RefUpdate) -> proto::RefUpdate {
    proto::RefUpdate { task_id: String::new(), ..ref_update(update) }
}

/// Converts an entry of the log for those who have a role in the organisation.
pub(crate) fn ref_update(update: &RefUpdate) -> proto::RefUpdate {
    let common = proto::RefUpdate {
        id: update.id,
        repository_id: update.repository.0,
        task_id: update.task.to_string(),
        at: Some(time(update.at)),
        ..proto::RefUpdate::default()
    };
    match &update.change {
        RefChange::Cloned { refs } => {
            proto::RefUpdate { kind: "cloned".to_owned(), cloned_refs: count(*refs), ..common }
        }
        RefChange::Moved(movement) => proto::RefUpdate {
            kind: movement.kind.as_str().to_owned(),
            name: text(movement.name.as_bytes()),
            raw_name: movement.name.as_bytes().to_vec().into(),
            old_hash: hash(movement.old.as_ref()),
            new_hash: hash(movement.new.as_ref()),
            ..common
        },
    }
}
