//! Making an empty repository.

use super::{Attempt, Done};
use crate::backend::{Durability, InitOptions};
use crate::engine::disk::{Manifest, publish_new, write_git_config};
use crate::engine::parts::blocking;
use crate::error::Result;
use crate::model::{Layout, ObjectFormat, RefName};
use crate::rules::Completion;
use crate::store::Recording;

/// Where `HEAD` of a new repository points.
const INITIAL_BRANCH: &str = "refs/heads/main";

impl Attempt {
    pub(super) async fn initialize(&self) -> Result<Done> {
        let head = RefName::new(INITIAL_BRANCH)?;
        if !self.is_published_by_this_task().await? {
            let bare = self.started.repository.layout != Layout::Regular;
            self.make(&InitOptions {
                bare,
                format: ObjectFormat::default(),
                head: head.clone(),
                durability: Durability::Caller,
            })
            .await?;
        }
        if self.started.was_recording {
            // A clone broke off while it was recorded: what it left is in no branch.
            self.orphan_unrecorded().await?;
        }
        let books = Completion {
            default_branch: Some(head),
            size_bytes: self.size_on_disk().await?,
            changed: true,
            ..Completion::default()
        };
        Ok(Done::Books(Box::new(books), Recording { full: true, ..Recording::default() }))
    }

    /// Makes an empty repository aside and publishes it.
    async fn make(&self, options: &InitOptions) -> Result<()> {
        let temporary = self.temporary().await?;
        self.parts.backend.init(temporary.path(), options).await?;
        self.step("initialized").await?;
        let manifest = Manifest::new(self.started.repository.id, self.started.task.id, None);
        let permit = self.permit().await?;
        let published = self.published.clone();
        blocking(move || {
            let finished = temporary.path();
            write_git_config(finished, None, Durability::Caller)?;
            manifest.write(finished)?;
            publish_new(&permit, finished, &published)
        })
        .await?;
        self.step("published").await
    }
}
