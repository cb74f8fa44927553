//! Real servers, of which one is started for each connection, as inetd does: nobody has to wait until it listens, and its port
//! is never another's.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A port of the loopback, and what runs behind it until this is dropped.
pub(super) struct PerConnection {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    command: Box<dyn Fn() -> Command + Send + Sync>,
    stopped: AtomicBool,
    connections: AtomicUsize,
    children: Mutex<Vec<Child>>,
}

impl PerConnection {
    /// Listens; each connection becomes the standard input and output of a new command.
    ///
    /// # Panics
    /// If no port is free.
    pub(super) fn start(command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            command: Box::new(command),
            stopped: AtomicBool::default(),
            connections: AtomicUsize::default(),
            children: Mutex::default(),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        PerConnection { address, shared, accepting: Some(accepting) }
    }

    /// Returns where the port is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        for connection in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(connection) = connection else { continue };
            self.connections.fetch_add(1, Ordering::SeqCst);
            // A client that went away is no failure of the test.
            let Ok(output) = connection.try_clone() else { continue };
            let mut command = (self.command)();
            command.stdin(OwnedFd::from(connection)).stdout(OwnedFd::from(output));
            let child = command.spawn().expect("the server is installed");
            let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
            children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            children.push(child);
        }
    }
}

impl Drop for PerConnection {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
        for child in self.shared.children.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
