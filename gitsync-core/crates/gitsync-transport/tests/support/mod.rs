//! A scripted HTTP server on loopback, and what the tests share.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::source::SourceUrl;
use gitsync_core::transport::{CallLimits, Connection};
use gitsync_core::{Cancellation, Error, Result};

/// A request as the server saw it.
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Answers every request by a script. Counts connections from the first packet on.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Arc<Seen>>>>,
}

impl Server {
    /// Starts a server; the script writes the answer to a request.
    pub(crate) fn start(script: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { address, connections: Arc::default(), seen: Arc::default() };
        let (connections, seen, script) = (server.connections.clone(), server.seen.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, script) = (seen.clone(), script.clone());
                thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        server
    }

    /// Starts a server that gives the same answer to all.
    pub(crate) fn answering(answer: &'static str) -> Server {
        Server::start(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
        })
    }

    pub(crate) fn source(&self) -> SourceUrl {
        format!("http://{}/team/app.git", self.address).parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Looks at one of the requests so far.
    pub(crate) fn seen<T>(&self, index: usize, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap()[index])
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Arc<Seen>>>, script: &(dyn Fn(&Seen, &mut TcpStream) + Send + Sync)) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader) {
        let request = Arc::new(request);
        // Before the answer, so that whoever has the answer finds it here.
        seen.lock().unwrap().push(Arc::clone(&request));
        script(&request, &mut writer);
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut seen = Seen { line: line.trim_end().to_owned(), headers, body: Vec::new() };
    if let Some(length) = seen.header("content-length") {
        seen.body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut seen.body).ok()?;
    } else if seen.header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            seen.body.extend_from_slice(&chunk[..size]);
        }
    }
    Some(seen)
}

/// What a stalled server waits for: nothing arrives, and the end of the test ends the wait.
pub(crate) struct Gate(Mutex<Receiver<()>>);

impl Gate {
    pub(crate) fn new() -> (Sender<()>, Gate) {
        let (sender, receiver) = mpsc::channel();
        (sender, Gate(Mutex::new(receiver)))
    }

    pub(crate) fn wait(&self) {
        let _ = self.0.lock().unwrap().recv();
    }
}

/// Limits nobody reaches.
pub(crate) fn limits() -> CallLimits {
    CallLimits {
        cancellation: Cancellation::new(),
        deadline: Instant::now() + Duration::from_secs(600),
        max_response_bytes: 1 << 20,
    }
}

/// Returns how a connection failed, or that it did not.
pub(crate) fn connection(result: Result<Connection>) -> Result<()> {
    result.map(|_| ())
}

/// Returns the error of ours that a stream failed with.
pub(crate) fn typed(error: &std::io::Error) -> Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).expect("a typed error").clone()
}

/// Says goodbye after the listing, and returns it.
pub(crate) fn listing(mut connection: Connection) -> std::io::Result<String> {
    connection.writer.write_all(b"0000")?;
    drop(connection.writer);
    let mut text = String::new();
    connection.reader.read_to_string(&mut text)?;
    Ok(text)
}
