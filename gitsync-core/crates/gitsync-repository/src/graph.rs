//! The commit graph: is one commit an ancestor of another? Exact, whatever the commits' dates say.

use std::collections::BinaryHeap;
use std::mem;
use std::ops::Range;

use gitsync_core::Result;
use gitsync_core::model::{CommitObject, ObjectId};
use gitsync_core::transport::CallLimits;

use crate::id_map::IdMap;
use crate::objects::{Objects, read_commit};
use crate::repository::Repository;

/// How many commits are read between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// The commits looked at so far: parents and date, read once.
///
/// Ids are hashed once and are numbers from then on; one graph answers all questions about a repository, the faster the
/// more it knows.
///
/// A shallow history ends at its boundary and where commits are missing: what was reached yesterday, and is by no reference
/// today, has left the boundary without a trace. A whole history with a missing commit is corrupt.
pub struct Graph<'a, O> {
    repository: &'a Repository<O>,
    limits: &'a CallLimits,
    index: IdMap<usize>,
    nodes: Vec<Node>,
    /// The parents of all nodes, one after the other.
    parents: Vec<usize>,
    buffer: Vec<u8>,
    epoch: u32,
    loaded: usize,
    /// Whether commits beyond the shallow boundary count, as far as they are there.
    goes_beyond: bool,
}

struct Node {
    id: ObjectId,
    date: i64,
    /// Where its parents are, once it has been read.
    parents: Option<Range<usize>>,
    /// Whether the hunt knows that a tip reaches it.
    painted: bool,
    /// The last question whose target reaches it.
    below: u32,
}

impl<O> std::fmt::Debug for Graph<'_, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("loaded", &self.loaded).finish_non_exhaustive()
    }
}

impl<'a, O: Objects> Graph<'a, O> {
    /// Creates a graph that knows nothing yet. Questions end by `limits`.
    pub fn new(repository: &'a Repository<O>, limits: &'a CallLimits) -> Self {
        Graph {
            repository,
            limits,
            index: IdMap::default(),
            nodes: Vec::new(),
            parents: Vec::new(),
            buffer: Vec::new(),
            epoch: 0,
            loaded: 0,
            goes_beyond: false,
        }
    }

    /// Creates a graph that does not end at the shallow boundary, but where commits are missing: what is an ancestor stays
    /// one when the boundary moves past it.
    pub fn beyond_boundary(repository: &'a Repository<O>, limits: &'a CallLimits) -> Self {
        Graph { goes_beyond: true, ..Graph::new(repository, limits) }
    }

    /// Tells whether `old` is `new` or one of its ancestors.
    ///
    /// # Errors
    /// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if a commit that the answer needs is missing, or the errors of the limits.
    pub fn is_ancestor(&mut self, old: &ObjectId, new: &ObjectId) -> Result<bool> {
        let (old, new) = (self.repository.local_id(old)?, self.repository.local_id(new)?);
        let mut hunt = Hunt::new(self);
        hunt.add(self, new)?;
        hunt.reaches(self, old)
    }

    fn node(&mut self, id: ObjectId) -> usize {
        let next = self.nodes.len();
        let number = *self.index.entry(id).or_insert(next);
        if number == next {
            self.nodes.push(Node { id, date: 0, parents: None, painted: false, below: 0 });
        }
        number
    }

    /// Reads the commit unless that was done, and returns its date and where its parents are.
    fn load(&mut self, number: usize) -> Result<(i64, Range<usize>)> {
        let Node { id, date, ref parents, .. } = self.nodes[number];
        if let Some(parents) = parents {
            return Ok((date, parents.clone()));
        }
        if self.loaded.is_multiple_of(CHECK_EVERY) {
            self.limits.check()?;
        }
        self.loaded += 1;
        let mut buffer = mem::take(&mut self.buffer);
        read_commit(self.repository.objects(), &id, &mut buffer)?;
        let date = CommitObject::new(&buffer).committer_date();
        let start = self.parents.len();
        if self.goes_beyond || !self.repository.shallow().contains(&id) {
            let ends_anywhere = !self.repository.shallow().is_empty();
            for parent in parents_in(self.repository, &buffer) {
                if ends_anywhere && self.repository.objects().kind(&parent)?.is_none() {
                    continue;
                }
                let parent = self.node(parent);
                self.parents.push(parent);
            }
        }
        self.buffer = buffer;
        let range = start..self.parents.len();
        self.nodes[number].date = date;
        self.nodes[number].parents = Some(range.clone());
        Ok((date, range))
    }
}

/// What some tips reach, explored only as far as the questions need it. A graph has one hunt at a time.
#[derive(Debug)]
pub(crate) struct Hunt {
    /// Painted nodes whose parents were not looked at, by date.
    queue: BinaryHeap<(i64, usize)>,
}

impl Hunt {
    /// Begins a hunt; the graph forgets the last one.
    pub(crate) fn new(graph: &mut Graph<'_, impl Objects>) -> Self {
        graph.nodes.iter_mut().for_each(|node| node.painted = false);
        Hunt { queue: BinaryHeap::new() }
    }

    /// Adds a tip.
    pub(crate) fn add(&mut self, graph: &mut Graph<'_, impl Objects>, tip: ObjectId) -> Result<()> {
        let number = graph.node(tip);
        let (date, _) = graph.load(number)?;
        if !mem::replace(&mut graph.nodes[number].painted, true) {
            self.queue.push((date, number));
        }
        Ok(())
    }

    /// Tells whether a tip reaches `target`.
    ///
    /// Walks from both sides, newest first, and ends when all that is left to look at are ancestors of the target: none of
    /// them can lead to it. Dates decide only what is looked at first, so wrong ones cost time but no exactness.
    pub(crate) fn reaches(&mut self, graph: &mut Graph<'_, impl Objects>, target: ObjectId) -> Result<bool> {
        let target = graph.node(target);
        if graph.nodes[target].painted {
            return Ok(true);
        }
        if self.queue.is_empty() {
            return Ok(false);
        }
        graph.epoch += 1;
        let epoch = graph.epoch;
        let (date, _) = graph.load(target)?;
        graph.nodes[target].below = epoch;
        let mut below = BinaryHeap::from([(date, target)]);
        let mut parked = Vec::new();
        let mut found = false;
        while !found && let Some(&(date, number)) = self.queue.peek() {
            if let Some(&(below_date, ancestor)) = below.peek()
                && below_date >= date
            {
                below.pop();
                for at in graph.load(ancestor)?.1 {
                    let parent = graph.parents[at];
                    let (date, _) = graph.load(parent)?;
                    if mem::replace(&mut graph.nodes[parent].below, epoch) != epoch {
                        below.push((date, parent));
                    }
                }
                continue;
            }
            self.queue.pop();
            if graph.nodes[number].below == epoch {
                parked.push((date, number));
                continue;
            }
            for at in graph.load(number)?.1 {
                let parent = graph.parents[at];
                let (date, _) = graph.load(parent)?;
                if !mem::replace(&mut graph.nodes[parent].painted, true) {
                    self.queue.push((date, parent));
                    found |= parent == target;
                }
            }
        }
        self.queue.extend(parked);
        Ok(found)
    }

    /// Explores all that is left, after which every question is answered at once.
    pub(crate) fn exhaust(&mut self, graph: &mut Graph<'_, impl Objects>) -> Result<()> {
        let mut stack: Vec<usize> = mem::take(&mut self.queue).into_iter().map(|(_, number)| number).collect();
        while let Some(number) = stack.pop() {
            for at in graph.load(number)?.1 {
                let parent = graph.parents[at];
                if !mem::replace(&mut graph.nodes[parent].painted, true) {
                    stack.push(parent);
                }
            }
        }
        Ok(())
    }
}

/// Returns the parents that a commit of this repository can have.
pub(crate) fn parents_in<O>(repository: &Repository<O>, commit: &[u8]) -> impl Iterator<Item = ObjectId> {
    let format = repository.format();
    CommitObject::new(commit).parents().filter(move |parent| parent.format() == format)
}
