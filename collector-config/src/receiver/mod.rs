//! An OTLP receiver inside this process: what left an exporter, span by span, without Jaeger.
//!
//! gRPC and HTTP (protobuf: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`) share one port. It lives on a thread and a
//! runtime of its own, so a test that blocks its runtime does not block what it waits for.

mod record;
mod services;

use crate::query::Timeout;
use crate::trace::Trace;
pub use record::{ReceivedLog, ReceivedMetric, ReceivedPoint, ReceivedSpan};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How many spans, metrics and log records are kept each; the oldest make room. A demo runs until somebody stops it.
const KEPT: usize = 50_000;

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
    ///
    /// # Errors
    /// If there is none, or no thread.
    pub fn start() -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Listens on `address`.
    ///
    /// # Errors
    /// If the address is taken, or there is no thread.
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
                // The sender has gone, or has sent: both mean the end. No graceful one, as exporters keep their
                // connections open.
                _ = stopped => {}
            }
        };
        let thread = thread::Builder::new().name("otlp-receiver".into()).spawn(move || {
            runtime.block_on(serve);
            // With it go the tasks of the connections.
            drop(runtime);
        })?;
        Ok(Self { address, inbox, stop: Some(stop), thread: Some(thread) })
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `grpc`.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT` with the protocol `http/protobuf`: the base, to which exporters add
    /// `/v1/traces` and the like.
    #[must_use]
    pub fn http_url(&self) -> String {
        self.grpc_url()
    }

    /// How many requests have come, of all signals.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.inbox.lock().requests
    }

    /// The spans so far, in the order of their arrival (the last 50,000).
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.inbox.lock().spans.iter().cloned().collect()
    }

    /// The metrics so far: one entry for each metric of each request, so the last of a name is the newest.
    #[must_use]
    pub fn metrics(&self) -> Vec<ReceivedMetric> {
        self.inbox.lock().metrics.iter().cloned().collect()
    }

    /// The log records so far.
    #[must_use]
    pub fn logs(&self) -> Vec<ReceivedLog> {
        self.inbox.lock().logs.iter().cloned().collect()
    }

    /// The spans, as soon as there are at least `n`.
    ///
    /// # Errors
    /// [`Timeout`], which says how many have come.
    pub fn wait_for_spans(&self, n: usize, timeout: Duration) -> Result<Vec<ReceivedSpan>, Timeout> {
        let deadline = Instant::now() + timeout;
        let mut received = self.inbox.lock();
        while received.spans.len() < n {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let what = format!("{n} spans at the OTLP receiver ({} have come)", received.spans.len());
                return Err(Timeout { what, waited: timeout, last: None });
            }
            received = self.inbox.came.wait_timeout(received, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(received.spans.iter().cloned().collect())
    }

    /// The trace with this id, as far as it has come.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Option<Trace> {
        let received = self.inbox.lock();
        let spans: Vec<_> = received.spans.iter().filter(|span| span.trace_id == trace_id).map(Into::into).collect();
        (!spans.is_empty()).then(|| Trace { trace_id: trace_id.into(), spans })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the receiver has been printed by its thread; a second one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// What has come, and the news of it.
#[derive(Debug, Default)]
struct Inbox {
    received: Mutex<Received>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Received {
    requests: usize,
    spans: VecDeque<ReceivedSpan>,
    metrics: VecDeque<ReceivedMetric>,
    logs: VecDeque<ReceivedLog>,
}

impl Inbox {
    /// One request of any signal.
    fn request(&self, add: impl FnOnce(&mut Received)) {
        let mut received = self.lock();
        received.requests += 1;
        add(&mut received);
        keep(&mut received.spans);
        keep(&mut received.metrics);
        keep(&mut received.logs);
        drop(received);
        self.came.notify_all();
    }

    /// A list that somebody panicked over is still a list.
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep<T>(list: &mut VecDeque<T>) {
    list.drain(..list.len().saturating_sub(KEPT));
}
