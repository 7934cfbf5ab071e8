//! An OTLP receiver inside this process, which keeps what an exporter sends, without Jaeger.
//!
//! gRPC and HTTP (protobuf: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`) share one port. It has a thread and a
//! runtime of its own, so a test may block its own runtime while it waits for spans.

mod services;

use crate::addresses::url;
use crate::otlp::{LogRecord, Metric, Span};
use crate::trace::Trace;
use anyhow::{Result, bail};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many spans, metrics and log records each are kept; the oldest are dropped, as a demo may run for days.
const CAPACITY: usize = 50_000;

/// A running receiver. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    inbox: Arc<Inbox>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free loopback port.
    pub fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Listens on `address`.
    pub fn start_on(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let inbox = Arc::new(Inbox::default());
        let router = services::router(&inbox);
        let (stop, stopped) = oneshot::channel::<()>();

        let serve = async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                // Both a value and a dropped sender mean the end. It is not graceful, as exporters keep their
                // connections open.
                _ = stopped => {}
            }
        };
        let thread = thread::Builder::new().name("otlp-receiver".into()).spawn(move || {
            runtime.block_on(serve);
            // This ends the tasks of the connections.
            drop(runtime);
        })?;
        Ok(Self { address, inbox, stop: Some(stop), thread: Some(thread) })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    pub fn grpc_url(&self) -> String {
        url(self.address)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: the base, to which exporters add
    /// `/v1/traces` and the like.
    pub fn http_url(&self) -> String {
        self.grpc_url()
    }

    /// The number of requests so far, of all signals.
    pub fn requests(&self) -> usize {
        self.inbox.lock().requests
    }

    /// The spans so far, in the order of their arrival (the last 50,000).
    pub fn spans(&self) -> Vec<Span> {
        self.inbox.lock().spans.iter().cloned().collect()
    }

    /// The metrics so far: one entry for each metric of each request, so the last one of a name is the newest.
    pub fn metrics(&self) -> Vec<Metric> {
        self.inbox.lock().metrics.iter().cloned().collect()
    }

    /// The log records so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.inbox.lock().logs.iter().cloned().collect()
    }

    /// Waits until at least `n` spans have arrived, and returns all spans.
    pub fn wait_for_spans(&self, n: usize, timeout: Duration) -> Result<Vec<Span>> {
        let deadline = Instant::now() + timeout;
        let mut received = self.inbox.lock();
        while received.spans.len() < n {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let arrived = received.spans.len();
                bail!("waited {timeout:?} for {n} spans at the OTLP receiver; {arrived} have arrived");
            }
            received = self.inbox.arrived.wait_timeout(received, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(received.spans.iter().cloned().collect())
    }

    /// The trace with this id, with the spans that have arrived; `None` if none has.
    pub fn trace(&self, trace_id: &str) -> Option<Trace> {
        Trace::of(trace_id, self.inbox.lock().spans.iter().cloned())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has already been printed; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// The received telemetry, and the signal for each arrival.
#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Received>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Received {
    requests: usize,
    spans: VecDeque<Span>,
    metrics: VecDeque<Metric>,
    logs: VecDeque<LogRecord>,
}

impl Inbox {
    /// Adds one request of any signal.
    fn add_request(&self, add: impl FnOnce(&mut Received)) {
        let mut received = self.lock();
        received.requests += 1;
        add(&mut received);
        trim(&mut received.spans);
        trim(&mut received.metrics);
        trim(&mut received.logs);
        drop(received);
        self.arrived.notify_all();
    }

    /// A panic of another thread cannot leave the lists invalid.
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trim<T>(list: &mut VecDeque<T>) {
    list.drain(..list.len().saturating_sub(CAPACITY));
}
