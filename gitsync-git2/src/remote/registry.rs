//! Which streams are behind the addresses that libgit2 is given.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use git2::Remote;
use git2::transport::Transport;
use gitsync_core::model::ObjectId;
use gitsync_repository::upstream::{Call, Greeting, Streams, advertisement, capabilities_for_a_fetch};

use super::streams::Subtransport;

/// The scheme of the addresses.
pub(super) const SCHEME: &str = "gitsync";

/// Under which names libgit2 sees what is wanted.
pub(crate) const WANTS: &str = "refs/want/";

/// The first line of a greeting over HTTP, and the mark behind it.
const SERVICE: &[u8] = b"001e# service=git-upload-pack\n0000";

/// A conversation that libgit2 is to have.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(super) call: Call,
    /// What libgit2 takes for the greeting.
    pub(super) greeting: Vec<u8>,
    /// The streams of an upstream that goes on listening, until libgit2 takes them.
    pub(super) streams: Mutex<Option<Streams>>,
    /// How many bytes may come in one answer.
    pub(super) max_bytes: u64,
}

impl Conversation {
    /// Prepares the fetch of `wants` from an upstream that has greeted.
    pub(crate) fn new(
        call: &Call,
        greeting: &Greeting,
        streams: Option<Streams>,
        wants: &[ObjectId],
        max_bytes: u64,
    ) -> Self {
        let greeting = as_seen_by_libgit2(greeting, wants);
        // What asks for a service by name is HTTP's.
        let begin = if streams.is_some() { SERVICE.len() } else { 0 };
        Conversation {
            call: call.clone(),
            greeting: greeting[begin..].to_vec(),
            streams: Mutex::new(streams),
            max_bytes,
        }
    }
}

/// Writes a greeting that lists what is wanted and nothing else, under names of ours.
fn as_seen_by_libgit2(greeting: &Greeting, wants: &[ObjectId]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> =
        wants.iter().enumerate().map(|(number, id)| format!("{id} {WANTS}{number:08}").into_bytes()).collect();
    if let Some(first) = lines.first_mut() {
        first.push(0);
        first.extend_from_slice(&capabilities_for_a_fetch(greeting.capabilities()));
    }
    advertisement(&lines.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

static CONVERSATIONS: LazyLock<Mutex<HashMap<u64, Arc<Conversation>>>> = LazyLock::new(Mutex::default);

/// A conversation that libgit2 can find by an address. It is forgotten with the value.
#[derive(Debug)]
pub(crate) struct Registered(u64);

impl Registered {
    /// Makes an address for a conversation.
    pub(crate) fn new(conversation: Conversation) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        conversations(|all| all.insert(number, Arc::new(conversation)));
        Registered(number)
    }
}

impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}/", self.0)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        conversations(|all| all.remove(&self.0));
    }
}

/// Finds the streams behind an address, on behalf of libgit2.
pub(super) fn connect(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let number = remote
        .url()
        .ok()
        .and_then(|url| url.strip_prefix(SCHEME)?.strip_prefix("://")?.trim_end_matches('/').parse().ok());
    let conversation = number.and_then(|number: u64| conversations(|all| all.get(&number).cloned()));
    let conversation = conversation.ok_or_else(|| git2::Error::from_str("nobody is at that address"))?;
    let forgets = conversation.call.source.scheme().is_http();
    Transport::smart(remote, forgets, Subtransport(conversation))
}

fn conversations<T>(change: impl FnOnce(&mut HashMap<u64, Arc<Conversation>>) -> T) -> T {
    change(&mut CONVERSATIONS.lock().unwrap_or_else(PoisonError::into_inner))
}
