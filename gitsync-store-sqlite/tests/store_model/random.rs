//! What the stores are asked: small sets of ids and names, so that calls meet.

use std::time::Duration;

use gitsync_core::model::{
    Commit, Layout, ObjectId, OrganisationId, RecordedRef, RefName, Signature, SourceType, StoredError, TaskId,
    TaskKind, TaskParameters,
};
use gitsync_core::plan::{Movement, MovementKind, RefPattern};
use gitsync_core::rules::{Completion, Outcome, Request};
use gitsync_core::store::{NewRepository, Recording, RepositoryPatch};
use gitsync_core::{Clock, ErrorKind};

use super::Run;

impl Run {
    pub(super) fn new_repository(&mut self) -> NewRepository {
        let source = self.rng.bool().then(|| format!("https://h{}.example/r", self.rng.u8(..3)).parse().unwrap());
        NewRepository {
            organisation: OrganisationId(1),
            name: format!("{}{}", if self.rng.bool() { "R" } else { "r" }, self.rng.u8(..12)).parse().unwrap(),
            description: "d".into(),
            owner: "o".into(),
            is_public: self.rng.bool(),
            layout: if source.is_some() && self.rng.bool() { Layout::Mirror } else { Layout::Bare },
            source,
            source_type: SourceType::Custom,
            storage: "default".parse().unwrap(),
            task: TaskId::generate(),
        }
    }

    pub(super) fn request(&mut self) -> Request {
        let kind = self.rng.choice(TaskKind::ALL).copied().unwrap();
        // Deletions are rare, else there is soon nothing left.
        let kind = if kind == TaskKind::Delete && self.rng.u8(..5) > 0 { TaskKind::Sync } else { kind };
        let source = (self.rng.u8(..4) == 0).then(|| "https://other.example/r".parse().unwrap());
        let parameters = TaskParameters { source, force: self.rng.bool(), accept_shrink: self.rng.bool() };
        Request { kind, parameters, id: TaskId::generate() }
    }

    pub(super) fn patch(&mut self) -> RepositoryPatch {
        RepositoryPatch {
            description: self.rng.bool().then(|| "other".into()),
            owner: None,
            is_public: self.rng.bool().then(|| self.rng.bool()),
            sync_interval: self.rng.bool().then(|| self.rng.bool().then(|| Duration::from_secs(90))),
            exclude_refs: self
                .rng
                .bool()
                .then(|| vec![RefPattern::new("refs/pull/*").unwrap(), RefPattern::new("refs/x").unwrap()]),
        }
    }

    pub(super) fn id(&mut self) -> ObjectId {
        ObjectId::Sha1([self.rng.u8(..20); 20])
    }

    pub(super) fn commit(&mut self) -> Commit {
        let id = self.id();
        // The second and all else follow from the id: a commit never changes. No two have the same second.
        let seconds = i64::from(id.as_bytes()[0]) - 10;
        let who = Signature { name: "n".into(), email: format!("e{}", seconds % 3), seconds, offset_minutes: -90 };
        let number = id.as_bytes()[0];
        let parents = (0..number % 3).map(|place| ObjectId::Sha1([(7 * number + place) % 20; 20])).collect();
        Commit {
            id,
            parents,
            author: who.clone(),
            committer: who,
            message: "m\0\u{1f600}".replace('\0', "-"),
            message_cut: false,
        }
    }

    pub(super) fn name(&mut self) -> RefName {
        let long = if self.rng.u8(..3) == 0 { "x".repeat(1500) } else { String::new() };
        let kind = if self.rng.bool() { "heads" } else { "tags" };
        RefName::new(format!("refs/{kind}/{long}{}", self.rng.u8(..6))).unwrap()
    }

    pub(super) fn recording(&mut self) -> Recording {
        let changed = (0..self.rng.u8(..4)).map(|_| {
            let commit = self.rng.bool().then(|| self.id());
            RecordedRef { name: self.name(), id: self.id(), commit }
        });
        let changed = changed.collect();
        let removed = (0..self.rng.u8(..2)).map(|_| self.name()).collect();
        let movement = |run: &mut Run| {
            let kind = run.rng.choice(MovementKind::ALL).copied().unwrap();
            Movement { name: run.name(), old: Some(run.id()), new: run.rng.bool().then(|| run.id()), kind }
        };
        let movements = (0..self.rng.u8(..3)).map(|_| movement(self)).collect();
        Recording {
            changed,
            removed,
            movements,
            cloned_refs: (self.rng.u8(..4) == 0).then_some(9),
            baseline_digest: self.rng.bool().then_some([1; 32]),
            policy_digest: Some([2; 32]),
            full: self.rng.u8(..3) == 0,
        }
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let kind = self.rng.choice([ErrorKind::Timeout, ErrorKind::UpstreamShrank, ErrorKind::Corrupt]).unwrap();
        let error = StoredError { kind, message: "why".into() };
        match self.rng.u8(..7) {
            0 => Outcome::Cancelled,
            1 => Outcome::Released,
            2 => Outcome::Failed(error),
            3 => Outcome::Retry { error, at: self.clock.now().after(Duration::from_secs(60)), spent: self.rng.bool() },
            4 => Outcome::Completed(None),
            _ => Outcome::Completed(Some(Box::new(Completion {
                default_branch: Some(self.name()),
                last_commit: Some(self.id()),
                total_commits: self.rng.i64(..100),
                recorded_refs: self.rng.i64(0..3),
                synced: self.rng.bool(),
                changed: self.rng.bool(),
                ..Completion::default()
            }))),
        }
    }
}
