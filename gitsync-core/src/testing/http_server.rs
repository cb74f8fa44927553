//! A git server over HTTP on the loopback, which can be told to misbehave.

mod cgi;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::wire::read_request;
use crate::source::SourceUrl;

/// How often what is waited for is looked for.
const TICK: Duration = Duration::from_millis(10);

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// The greeting: `GET /info/refs`.
    Greeting,
    /// A command: `POST /git-upload-pack` or `POST /git-receive-pack`.
    Command,
}

/// How an endpoint answers.
#[derive(Clone, Debug, Default)]
pub enum Behaviour {
    /// As `git http-backend` does.
    #[default]
    Serve,
    /// As `git http-backend` did when the same was asked before, without running it again.
    Remember,
    /// With a status, these headers, and nothing else.
    Status(u16, Vec<(&'static str, String)>),
    /// With a successful response of this type and content.
    Body(&'static str, Vec<u8>),
    /// With this many bytes of the true answer, after which the connection ends.
    CutAfter(usize),
    /// With this many bytes of the true answer, and then nothing until the server is dropped.
    StallAfter(usize),
    /// As [`Behaviour::Remember`] does, but a byte every 10 ms.
    Trickle,
    /// Not at all, until the server is dropped.
    Stall,
    /// Not yet: once another behaviour is set, as that one says.
    Hold,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was asked.
    pub endpoint: Endpoint,
    /// The headers, their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body, without the encoding of the transfer.
    pub body: Vec<u8>,
}

/// Serves the repositories below a directory, until it is dropped.
pub struct SmartHttpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl fmt::Debug for SmartHttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmartHttpServer").field("address", &self.address).finish_non_exhaustive()
    }
}

struct Shared {
    root: PathBuf,
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    behaviours: HashMap<Endpoint, Behaviour>,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
    remembered: HashMap<Question, Arc<Vec<u8>>>,
    /// Where the repositories are now that have moved, by the paths they had, and with which status that is said.
    moved: HashMap<String, (u16, SourceUrl)>,
    /// The only `Authorization` headers that are let in, if not everybody is.
    let_in: Option<Vec<String>>,
    held: usize,
    busy: usize,
    busiest: usize,
}

/// What tells one request from another: its target, its protocol and its body.
type Question = (String, Option<String>, Vec<u8>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered, or kept waiting.
struct Busy<'s>(&'s Shared);

impl<'s> Busy<'s> {
    fn with(request: Request, shared: &'s Shared) -> Self {
        let mut state = shared.state();
        state.requests.push(request);
        state.busy += 1;
        state.busiest = state.busiest.max(state.busy);
        Busy(shared)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
    }
}

impl SmartHttpServer {
    /// Starts a server on a free port of the loopback.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Shared { root: root.to_owned(), stopped: AtomicBool::new(false), state: Mutex::default() };
        let shared = Arc::new(shared);
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        SmartHttpServer { address, shared, accepting: Some(accepting) }
    }

    /// Returns where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of a repository below the root, such as `upstream.git`.
    ///
    /// # Panics
    /// If the path cannot be part of an address.
    pub fn source(&self, path: &str) -> SourceUrl {
        SourceUrl::parse(&format!("http://{}/{path}", self.address)).expect("it is a source").url
    }

    /// Sets how an endpoint answers from now on.
    pub fn answer(&self, endpoint: Endpoint, behaviour: Behaviour) {
        self.shared.state().behaviours.insert(endpoint, behaviour);
    }

    /// Redirects whoever asks for the repository at a path below the root to where it is now.
    pub fn redirect(&self, path: &str, status: u16, to: &SourceUrl) {
        self.shared.state().moved.insert(format!("/{path}/"), (status, to.clone()));
    }

    /// Lets in from now on who sends one of these `Authorization` headers, and nobody else.
    pub fn let_in(&self, authorizations: &[&str]) {
        self.shared.state().let_in = Some(authorizations.iter().map(|value| (*value).to_owned()).collect());
    }

    /// Returns the requests that were made, and forgets them.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state().requests)
    }

    /// Returns how many bytes the content of the longest answer has that is remembered, and forgets them all.
    pub fn take_longest_remembered(&self) -> usize {
        let remembered = std::mem::take(&mut self.shared.state().remembered);
        remembered.values().map(|answer| wire::content_length(answer)).max().unwrap_or_default()
    }

    /// Returns how many requests wait for another behaviour than [`Behaviour::Hold`].
    pub fn held(&self) -> usize {
        self.shared.state().held
    }

    /// Returns how many requests were held or being answered at once, at most.
    pub fn busiest(&self) -> usize {
        self.shared.state().busiest
    }
}

impl Drop for SmartHttpServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for connection in self.shared.state().connections.drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        // Without it, every answer in two parts waits 40 ms for the acknowledgement of the first.
        connection.set_nodelay(true).ok();
        if let Ok(other) = connection.try_clone() {
            shared.state().connections.push(other);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that went away is no failure of the test.
            serve(&connection, &shared).ok();
            connection.shutdown(Shutdown::Both).ok();
        });
    }
}

fn serve(connection: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = io::BufReader::new(connection.try_clone()?);
    while let Some((head, body)) = read_request(&mut reader, connection)? {
        let endpoint = if head.method == "POST" { Endpoint::Command } else { Endpoint::Greeting };
        let request = Request { endpoint, headers: head.headers.clone(), body };
        let _busy = Busy::with(request.clone(), shared);
        if !is_let_in(&request, shared) {
            let ask = [("WWW-Authenticate", "Basic realm=\"git\"".to_owned())];
            wire::write_whole(connection, 401, &ask, b"")?;
            continue;
        }
        if let Some((status, location)) = location(&head.target, shared) {
            wire::write_whole(connection, status, &[("Location", location)], b"")?;
            continue;
        }
        let Some(behaviour) = behaviour(endpoint, shared, connection)? else { return Ok(()) };
        match behaviour {
            Behaviour::Serve => cgi::answer(&shared.root, &head, &request.body, &mut &*connection, None)?,
            Behaviour::Remember => {
                let answer = remembered(shared, &head, request.body)?;
                (&*connection).write_all(&answer)?;
            }
            Behaviour::Trickle => return trickle(shared, connection, &remembered(shared, &head, request.body)?),
            Behaviour::Status(status, headers) => wire::write_whole(connection, status, &headers, b"")?,
            Behaviour::Body(content_type, body) => {
                wire::write_whole(connection, 200, &[("Content-Type", content_type.to_owned())], &body)?;
            }
            Behaviour::CutAfter(bytes) => {
                return cgi::answer(&shared.root, &head, &request.body, &mut &*connection, Some(bytes));
            }
            Behaviour::StallAfter(bytes) => {
                cgi::answer(&shared.root, &head, &request.body, &mut &*connection, Some(bytes))?;
                return stall(shared);
            }
            Behaviour::Stall | Behaviour::Hold => return stall(shared),
        }
    }
    Ok(())
}

fn is_let_in(request: &Request, shared: &Shared) -> bool {
    let state = shared.state();
    let known = |known: &Vec<String>| request.headers.get("authorization").is_some_and(|value| known.contains(value));
    state.let_in.as_ref().is_none_or(known)
}

/// Returns where something is that was asked for, if its repository has moved.
fn location(target: &str, shared: &Shared) -> Option<(u16, String)> {
    let state = shared.state();
    let mut moved = state.moved.iter();
    moved.find_map(|(path, (status, to))| Some((*status, to.join_suffix(&format!("/{}", target.strip_prefix(path)?)))))
}

/// Returns how to answer, when the time for that has come; `None` if the client or the server goes before.
fn behaviour(endpoint: Endpoint, shared: &Shared, connection: &TcpStream) -> io::Result<Option<Behaviour>> {
    let current = || shared.state().behaviours.get(&endpoint).cloned().unwrap_or_default();
    let mut behaviour = current();
    if !matches!(behaviour, Behaviour::Hold) {
        return Ok(Some(behaviour));
    }
    shared.state().held += 1;
    connection.set_read_timeout(Some(TICK))?;
    while matches!(behaviour, Behaviour::Hold) && is_there(connection) {
        behaviour = current();
    }
    connection.set_read_timeout(None)?;
    shared.state().held -= 1;
    Ok(Some(behaviour).filter(|behaviour| !matches!(behaviour, Behaviour::Hold)))
}

/// Tells after a moment whether a client still waits. Then it sends nothing; one that is gone has nothing more to send.
fn is_there(connection: &TcpStream) -> bool {
    match connection.peek(&mut [0]) {
        Ok(count) => count > 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
    }
}

fn remembered(shared: &Shared, head: &wire::Head, body: Vec<u8>) -> io::Result<Arc<Vec<u8>>> {
    let question = (head.target.clone(), head.headers.get("git-protocol").cloned(), body);
    if let Some(answer) = shared.state().remembered.get(&question) {
        return Ok(Arc::clone(answer));
    }
    let mut answer = Vec::new();
    cgi::answer(&shared.root, head, &question.2, &mut answer, None)?;
    let answer = Arc::new(answer);
    shared.state().remembered.insert(question, Arc::clone(&answer));
    Ok(answer)
}

fn trickle(shared: &Shared, mut connection: &TcpStream, answer: &[u8]) -> io::Result<()> {
    for byte in answer {
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        connection.write_all(&[*byte])?;
        thread::sleep(TICK);
    }
    Ok(())
}

fn stall(shared: &Shared) -> io::Result<()> {
    while !shared.stopped.load(Ordering::SeqCst) {
        thread::sleep(TICK);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Git, Upstream};

    #[test]
    fn what_is_held_is_answered_later_and_forgotten_when_its_client_goes() {
        let upstream = Upstream::new();
        upstream.commit("main");
        let server = SmartHttpServer::start(upstream.root());
        server.answer(Endpoint::Greeting, Behaviour::Hold);
        let source = server.source("upstream.git").to_string();
        let mut git = Git::at(upstream.root()).command().args(["ls-remote", &source]).spawn().unwrap();
        let mut other = TcpStream::connect(server.address()).unwrap();
        other.write_all(b"GET /upstream.git/info/refs?service=git-upload-pack HTTP/1.1\r\n\r\n").unwrap();
        let wait_for = |count| {
            while server.held() != count {
                thread::yield_now();
            }
        };
        wait_for(2);
        drop(other);
        wait_for(1);
        server.answer(Endpoint::Greeting, Behaviour::Serve);
        assert!(git.wait().unwrap().success());
        wait_for(0);
        assert_eq!(server.busiest(), 2);
    }
}
