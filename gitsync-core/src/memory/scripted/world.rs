//! The commits and upstreams of a script.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use sha2::{Digest, Sha256};

use super::Call;
use crate::backend::{AdvertisedRef, Advertisement, Head};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Commit, ObjectFormat, ObjectId, RefName, Signature};
use crate::source::SourceUrl;

#[derive(Debug, Default)]
pub(super) struct World {
    commits: HashMap<ObjectId, Commit>,
    upstreams: HashMap<SourceUrl, Upstream>,
    pub(super) failures: VecDeque<(Call, Error)>,
    pub(super) calls: Vec<Call>,
}

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) refs: BTreeMap<RefName, ObjectId>,
    pub(super) head: Head,
    /// What no push may change, and why.
    pub(super) protected: BTreeMap<RefName, String>,
}

impl World {
    pub(super) fn commit(&mut self, parents: &[ObjectId], message: &str) -> ObjectId {
        let mut hash = Sha256::new();
        parents.iter().for_each(|parent| hash.update(parent.as_bytes()));
        hash.update(message);
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 20];
        id.copy_from_slice(&digest[..20]);
        let id = ObjectId::Sha1(id);
        let seconds = i64::try_from(self.commits.len()).unwrap_or(i64::MAX);
        let signature = Signature { name: "A".into(), email: "a@example.com".into(), seconds, offset_minutes: 0 };
        let commit = Commit {
            id,
            parents: parents.to_vec(),
            author: signature.clone(),
            committer: signature,
            message: message.to_owned(),
            message_cut: false,
        };
        self.commits.entry(id).or_insert(commit);
        id
    }

    pub(super) fn upstream_mut(&mut self, source: &SourceUrl) -> Result<&mut Upstream> {
        let head = Head::Branch(RefName::branch("main")?);
        Ok(self.upstreams.entry(source.clone()).or_insert_with(|| Upstream {
            refs: BTreeMap::new(),
            head,
            protected: BTreeMap::new(),
        }))
    }

    pub(super) fn refs_of(&self, source: &SourceUrl) -> Vec<(RefName, ObjectId)> {
        let refs = self.upstreams.get(source).into_iter().flat_map(|upstream| &upstream.refs);
        refs.map(|(name, id)| (name.clone(), *id)).collect()
    }

    pub(super) fn advertise(&self, source: &SourceUrl) -> Result<Advertisement> {
        let upstream = self.upstreams.get(source).ok_or_else(|| {
            Error::new(ErrorKind::SourceNotFound, "the script has no such upstream").with("source", source)
        })?;
        let advertised =
            |(name, id): (&RefName, &ObjectId)| AdvertisedRef { name: name.clone(), id: *id, peeled: None };
        Ok(Advertisement {
            refs: upstream.refs.iter().map(advertised).collect(),
            head: Some(upstream.head.clone()),
            format: ObjectFormat::Sha1,
            refused_names: 0,
        })
    }

    /// Returns all commits that the tips reach.
    pub(super) fn reach(&self, tips: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut next: Vec<ObjectId> = tips.into_iter().collect();
        while let Some(id) = next.pop() {
            if let Some(commit) = self.commits.get(&id)
                && seen.insert(id)
            {
                next.extend(&commit.parents);
            }
        }
        seen
    }

    /// Returns a commit that [`World::reach`] found.
    pub(super) fn record(&self, id: ObjectId) -> Commit {
        self.commits[&id].clone()
    }

    pub(super) fn take_failure(&mut self, call: Call) -> Option<Error> {
        let at = self.failures.iter().position(|(scripted, _)| *scripted == call)?;
        self.failures.remove(at).map(|(_, error)| error)
    }
}
