//! Collecting what an upstream advertises, within bounds.

use gitsync_core::backend::{AdvertisedRef, Advertisement, Head};
use gitsync_core::model::{ObjectFormat, ObjectId, RefName};
use gitsync_core::{Error, ErrorKind, Result};

/// How much an upstream may advertise.
#[derive(Clone, Copy, Debug)]
pub struct ListLimits {
    /// How many references.
    pub refs: usize,
    /// How many bytes in all.
    pub bytes: usize,
}

/// The advertisement in the making.
#[derive(Debug)]
pub struct Listing {
    limits: ListLimits,
    lines: usize,
    bytes: usize,
    format: ObjectFormat,
    refs: Vec<AdvertisedRef>,
    refused_names: usize,
    head_id: Option<ObjectId>,
    head_target: Option<Vec<u8>>,
    /// Whether the upstream itself lacks the parents of some commits.
    shallow: bool,
}

impl Listing {
    /// Begins a listing in which ids are of a format.
    pub fn new(format: ObjectFormat, limits: ListLimits) -> Self {
        Listing {
            limits,
            lines: 0,
            bytes: 0,
            format,
            refs: Vec::new(),
            refused_names: 0,
            head_id: None,
            head_target: None,
            shallow: false,
        }
    }

    /// Returns the upstream's hash function.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Tells whether the upstream lacks the parents of some commits.
    pub fn is_shallow(&self) -> bool {
        self.shallow
    }

    /// Counts a line against the bounds.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] past one of them.
    pub fn count(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        self.bytes += line.len();
        let exceeded = |what: &str, option: &str, limit: usize| {
            Err(Error::new(ErrorKind::LimitExceeded, format!("the upstream lists more {what} than allowed"))
                .with("limit", limit)
                .hint(format!("raise {option} if the upstream is to be trusted with that")))
        };
        if self.lines > self.limits.refs {
            return exceeded("references", "max_listed_refs", self.limits.refs);
        }
        if self.bytes > self.limits.bytes {
            return exceeded("bytes", "max_listing_bytes", self.limits.bytes);
        }
        Ok(())
    }

    /// Understands an id of the upstream's format.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is none.
    pub fn id(&self, hex: &[u8]) -> Result<ObjectId> {
        let id = ObjectId::from_hex(hex).ok().filter(|id| id.format() == self.format);
        id.ok_or_else(|| not_understood("something that is no object id"))
    }

    /// Adds a reference, or what `HEAD` leads to.
    pub fn add(&mut self, name: &[u8], id: ObjectId, peeled: Option<ObjectId>) {
        if name == b"HEAD" {
            self.head_id = Some(id);
            return;
        }
        match RefName::new(name) {
            Ok(name) => self.refs.push(AdvertisedRef { name, id, peeled }),
            // As git does with names that would be trouble on disk.
            Err(_) => self.refused_names += 1,
        }
    }

    /// Adds where a tag that was just added leads to.
    pub fn add_peeled(&mut self, name: &[u8], id: ObjectId) {
        if let Some(last) = self.refs.last_mut().filter(|last| last.name.as_bytes() == name) {
            last.peeled = Some(id);
        }
    }

    /// Sets the branch that `HEAD` names.
    pub fn set_head_target(&mut self, target: &[u8]) {
        self.head_target = Some(target.to_owned());
    }

    /// Notes that the upstream is shallow.
    pub fn set_shallow(&mut self) {
        self.shallow = true;
    }

    /// Returns where `HEAD` points. A target that git would not accept counts as if nothing had been said.
    pub fn head(&self) -> Option<Head> {
        match (&self.head_target, self.head_id) {
            (Some(target), _) => RefName::new(target.as_slice()).ok().map(Head::Branch),
            (None, Some(id)) => Some(Head::Detached(id)),
            (None, None) => None,
        }
    }

    /// Returns what was advertised, sorted, each name once.
    pub fn finish(mut self) -> Advertisement {
        let head = self.head();
        self.refs.sort_by(|one, other| one.name.cmp(&other.name));
        self.refs.dedup_by(|later, first| later.name == first.name);
        Advertisement { refs: self.refs, head, format: self.format, refused_names: self.refused_names }
    }
}

/// The listing makes no sense.
pub fn not_understood(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the upstream's list of references holds {what}"))
}
