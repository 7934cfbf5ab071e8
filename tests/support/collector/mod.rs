//! A collector that fails on demand, for the proofs of the export path.

mod mode;
mod protocol;
mod reply;
mod wire;

pub use mode::{Hint, Mode};

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;
use tokio::sync::{oneshot, watch};
use wire::Wire;

/// The id of a span, as OTLP carries it.
pub type SpanId = [u8; 8];

/// An OTLP collector on a loopback port that fails as its [`Mode`] says. It serves gRPC (HTTP/2) and
/// HTTP/protobuf (HTTP/1.1) on the same port, from a thread and a runtime of its own, and keeps the ids of the spans
/// that it took.
///
/// Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct FaultCollector {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request that was read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it had been read.
    pub at: Instant,
    /// `traces`, `metrics` or `logs`.
    pub signal: &'static str,
    /// The size of the message, without compression.
    pub bytes: usize,
    /// The number of its spans; 0 of other signals.
    pub spans: usize,
    /// Whether it was taken, at least in part.
    pub taken: bool,
    /// The connection that it came on, counted from 1.
    pub connection: usize,
}

impl FaultCollector {
    /// Listens on a free port, in [`Mode::Ok`].
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // It holds the port while nothing listens there, so that no other process and no outgoing connection gets it.
        let reserved = socket((Ipv4Addr::LOCALHOST, 0).into());
        let address = reserved.local_addr().expect("an address");
        let shared =
            Arc::new(Shared { mode: watch::Sender::new(Mode::Ok), state: Mutex::default(), changed: Condvar::new() });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fault-collector".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = wire::listen(address, &serving) => {}
                    // A dropped sender: the end.
                    _ = stopped => {}
                }
            });
            // This ends the tasks of the connections.
            drop(runtime);
            drop(reserved);
        });
        let collector = Self { address, shared, stop: Some(stop), thread: Some(thread.expect("a thread")) };
        collector.shared.wait_until("the port to open", |state| state.listening);
        collector
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`, with both protocols.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what it does from now on. When this returns, the port is open, or closed.
    ///
    /// # Panics
    /// When the port cannot be opened again.
    pub fn set(&self, mode: Mode) {
        let open = mode != Mode::Refuse;
        let silences = matches!(mode, Mode::Blackhole | Mode::Silent);
        self.shared.mode.send_replace(mode);
        if silences {
            // A connection asks for the mode while it is listed, so none is missed.
            let wires = std::mem::take(&mut self.shared.lock().wires);
            wires.iter().filter_map(Weak::upgrade).for_each(|wire| wire.fall_silent());
        }
        self.shared.wait_until("the port", |state| state.listening == open);
    }

    /// The mode that is in force.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.shared.mode.borrow().clone()
    }

    /// The ids of all spans that it took.
    #[must_use]
    pub fn ids(&self) -> HashSet<SpanId> {
        self.shared.lock().spans.keys().copied().collect()
    }

    /// How many different spans it took.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.shared.lock().spans.len()
    }

    /// How many spans it took that it had already.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.shared.lock().spans.values().map(|times| times - 1).sum()
    }

    /// The requests that were read to their end, in that order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many connections it accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until it has this many different spans.
    ///
    /// # Panics
    /// When it has less after [`crate::PATIENCE`].
    pub fn wait_for(&self, distinct: usize) {
        self.shared.wait_until(&format!("{distinct} spans"), |state| state.spans.len() >= distinct);
    }

    /// Waits until it has read this many requests.
    ///
    /// # Panics
    /// When it has read less after [`crate::PATIENCE`].
    pub fn wait_for_requests(&self, count: usize) {
        self.shared.wait_until(&format!("{count} requests"), |state| state.requests.len() >= count);
    }

    /// Waits until it has accepted this many connections.
    ///
    /// # Panics
    /// When it has accepted less after [`crate::PATIENCE`].
    pub fn wait_for_connections(&self, count: usize) {
        self.shared.wait_until(&format!("{count} connections"), |state| state.connections >= count);
    }
}

impl Drop for FaultCollector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// A socket on `address` that shares its port with the others of this collector.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("SO_REUSEADDR");
    socket.set_reuseport(true).expect("SO_REUSEPORT");
    socket.bind(address).expect("the port");
    socket
}

/// What the thread of the collector and its owner share.
#[derive(Debug)]
struct Shared {
    mode: watch::Sender<Mode>,
    state: Mutex<State>,
    /// Any change of the state.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    listening: bool,
    /// The connections that are open.
    wires: Vec<Weak<Wire>>,
    connections: usize,
    requests: Vec<Request>,
    /// How often each span was taken.
    spans: HashMap<SpanId, usize>,
}

impl Shared {
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + crate::PATIENCE;
        let mut state = self.lock();
        while !holds(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                let (spans, requests) = (state.spans.len(), state.requests.len());
                panic!(
                    "waited for {what} in vain: {spans} spans of {requests} requests, mode {:?}",
                    *self.mode.borrow()
                );
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A panic of another thread cannot leave the state invalid.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
