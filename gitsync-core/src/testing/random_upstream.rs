//! An upstream that changes at random, the same way for the same seed.

use fastrand::Rng;

use super::upstream::Upstream;
use crate::model::ObjectId;

/// Short names of branches: few, so that they come back, and such that one stands in the way of another.
const BRANCHES: &[&str] = &["main", "trunk", "a", "a/b", "a/b/c", "topic/x", "topic/y", "release"];

/// Short names of tags.
const TAGS: &[&str] = &["v1", "v2", "v3", "nightly", "dir/v1"];

/// An [`Upstream`] with a will of its own: commits, merges, force-pushes, deletions, moved tags, a `HEAD` that wanders.
#[derive(Debug)]
pub struct RandomUpstream {
    upstream: Upstream,
    rng: Rng,
    commits: Vec<ObjectId>,
}

impl RandomUpstream {
    /// Makes an upstream with one commit on `main`.
    pub fn new(seed: u64) -> Self {
        let upstream = Upstream::new();
        let commits = vec![upstream.commit("main")];
        RandomUpstream { upstream, rng: Rng::with_seed(seed), commits }
    }

    /// Returns the upstream as it is.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Returns the source of randomness, so that a test's own decisions come from the same seed.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Changes something, a number of times.
    pub fn change(&mut self, times: usize) {
        for _ in 0..times {
            match self.rng.u8(0..100) {
                0..40 => self.commit(),
                40..48 => self.merge(),
                48..60 => self.force_push(),
                60..70 => self.delete_branch(),
                70..84 => self.tag(),
                84..89 => self.delete_tag(),
                89..95 => self.move_head(),
                _ => self.other_reference(),
            }
        }
    }

    fn commit(&mut self) {
        let name = self.any(BRANCHES);
        let parents = match self.upstream.tip(name) {
            Some(tip) => vec![tip],
            // A new branch begins anywhere, now and then at a root of its own.
            None if self.rng.u8(0..8) == 0 => Vec::new(),
            None => vec![self.any_commit()],
        };
        self.commit_to(name, &parents);
    }

    fn merge(&mut self) {
        let name = self.any(BRANCHES);
        let Some(tip) = self.upstream.tip(name) else { return };
        let mut parents = vec![tip];
        for _ in 0..self.rng.usize(1..4) {
            let parent = self.any_commit();
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        self.commit_to(name, &parents);
    }

    fn force_push(&mut self) {
        let name = self.any(BRANCHES);
        let to = self.any_commit();
        if self.rng.bool() {
            self.commit_to(name, &[to]);
        } else {
            self.set_branch(name, to);
        }
    }

    fn delete_branch(&mut self) {
        let names = self.names("refs/heads/");
        // One is left: an upstream that loses everything is another test's.
        if names.len() > 1 {
            let name = names[self.rng.usize(..names.len())].clone();
            self.upstream.delete(&name);
        }
    }

    fn tag(&mut self) {
        let name = self.any(TAGS);
        let id = self.any_commit();
        match self.rng.u8(0..4) {
            0 => self.upstream.tag(name, id),
            1 => {
                let tree = self.upstream.git().id(&format!("{id}^{{tree}}"));
                self.upstream.tag(name, tree);
            }
            _ => drop(self.upstream.annotated_tag(name, id)),
        }
    }

    fn delete_tag(&mut self) {
        let names = self.names("refs/tags/");
        if !names.is_empty() {
            let name = names[self.rng.usize(..names.len())].clone();
            self.upstream.delete(&name);
        }
    }

    fn move_head(&mut self) {
        match self.rng.u8(0..5) {
            0 => {
                let id = self.any_commit();
                self.upstream.detach_head(id);
            }
            _ => {
                let name = self.any(BRANCHES);
                self.upstream.set_head(name);
            }
        }
    }

    fn other_reference(&mut self) {
        let id = self.any_commit();
        let name = format!("refs/pull/{}/head", self.rng.u8(1..4));
        self.upstream.reference(&name, id);
    }

    fn commit_to(&mut self, branch: &str, parents: &[ObjectId]) {
        let id = self.upstream.commit_on(parents);
        self.commits.push(id);
        self.set_branch(branch, id);
    }

    /// Sets a branch after deleting those that stand in its way, as somebody would who wants it.
    fn set_branch(&self, branch: &str, id: ObjectId) {
        let full = format!("refs/heads/{branch}");
        for other in self.names("refs/heads/") {
            if other.starts_with(&format!("{full}/")) || full.starts_with(&format!("{other}/")) {
                self.upstream.delete(&other);
            }
        }
        self.upstream.branch(branch, id);
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let names = self.upstream.git().run(&["for-each-ref", "--format=%(refname)", prefix]);
        names.lines().map(str::to_owned).collect()
    }

    fn any<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.rng.usize(..names.len())]
    }

    fn any_commit(&mut self) -> ObjectId {
        self.commits[self.rng.usize(..self.commits.len())]
    }
}
