//! A port of the loopback, and who answers there.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Gives each connection to a thread, until this is dropped.
pub(super) struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicUsize,
}

impl Listening {
    /// Listens; how a connection fails does not matter.
    ///
    /// # Panics
    /// If no port is free.
    pub(super) fn start<T>(answer: impl Fn(TcpStream) -> T + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (shared, answer) = (Arc::<Shared>::default(), Arc::new(answer));
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for connection in listener.incoming() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(connection) = connection else { continue };
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let answer = Arc::clone(&answer);
                    thread::spawn(move || drop(answer(connection)));
                }
            }
        });
        Listening { address, shared, accepting: Some(accepting) }
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

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}
