//! The guard that `init` returns, and the end of telemetry.

use crate::error::ShutdownError;
use crate::metrics::Push;
use crate::traces::SpanQueue;
use crate::worker::Worker;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long a guard that is merely dropped tries to deliver what is left.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// How long a dropped guard waits for its last line to be written.
const SAY_LIMIT: Duration = Duration::from_millis(500);
/// A limit for callers that want none: the clock cannot count to `Duration::MAX`.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How long the thread may take to end once everything is delivered: it only closes its sockets.
const STOP_LIMIT: Duration = Duration::from_millis(100);

/// Keeps telemetry running. Call [`shutdown`](Self::shutdown) at the end of `main`; dropped without it, the guard
/// delivers what it can within two seconds and says on the log what it could not.
#[must_use = "telemetry stops when the guard is dropped: keep it until the end of main, then call guard.shutdown(timeout)"]
#[derive(Debug)]
pub struct TelemetryGuard(Option<Running>);

/// What has to be brought to an end. Nothing of it exists when telemetry is disabled.
pub(crate) struct Running {
    pub(crate) worker: Worker,
    /// The provider itself is never shut down: the SDK would then drop what ends later without a word, where the closed
    /// queue counts it.
    pub(crate) spans: Option<Arc<SpanQueue>>,
    pub(crate) push: Option<Arc<Push>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Running")
    }
}

impl TelemetryGuard {
    pub(crate) const fn running(running: Running) -> Self {
        Self(Some(running))
    }

    pub(crate) const fn disabled() -> Self {
        Self(None)
    }

    /// Delivers what is left, first spans, then metrics, and stops the telemetry thread. Blocks the calling thread, at
    /// most as long as `timeout`, and needs no runtime: the telemetry thread does the work. Spans that end from the call
    /// on are no longer taken; they are counted as dropped (`after_shutdown`).
    ///
    /// # Errors
    /// What could not be delivered in time.
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), ShutdownError> {
        self.0.take().map_or(Ok(()), |running| running.end(timeout))
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|running| running.end(DROP_LIMIT)) {
            say(&error);
        }
    }
}

/// Says what was lost, on a thread of its own: a stdout that nobody reads must not hold up the end of the process.
fn say(error: &ShutdownError) {
    let error = error.to_string();
    let (done, said) = mpsc::channel::<()>();
    let line = move || {
        tracing::error!(target: "ironcore_telemetry", error, "telemetry was lost at the end");
        drop(done);
    };
    if std::thread::Builder::new().spawn(line).is_ok() {
        // Ends with an error in any case: the sender goes without sending.
        let _ = said.recv_timeout(SAY_LIMIT);
    }
}

impl Running {
    fn end(self, timeout: Duration) -> Result<(), ShutdownError> {
        let deadline = Instant::now() + timeout.min(LONGEST);
        let left = || deadline.saturating_duration_since(Instant::now());
        let spans = self.spans.as_ref().map_or(Ok(()), |queue| drain(&self.worker, queue, left(), timeout));
        let metrics = self.push.as_ref().map_or(Ok(()), |push| last_push(&self.worker, push, left()));
        self.worker.stop(STOP_LIMIT.min(left()));
        spans.and(metrics)
    }
}

fn drain(worker: &Worker, queue: &Arc<SpanQueue>, limit: Duration, timeout: Duration) -> Result<(), ShutdownError> {
    let waiting = Arc::clone(queue);
    if worker.run(limit, async move { waiting.drained().await }).is_some() {
        return Ok(());
    }
    match queue.abandon() {
        (0, _) => Ok(()),
        (spans_lost, last_failure) => Err(ShutdownError::Undelivered { spans_lost, timeout, last_failure }),
    }
}

fn last_push(worker: &Worker, push: &Arc<Push>, limit: Duration) -> Result<(), ShutdownError> {
    let push = Arc::clone(push);
    let result = worker.run(limit, async move { push.push().await });
    let reason = match result {
        Some(Ok(())) => return Ok(()),
        Some(Err(reason)) => reason,
        None => "the time was up".to_owned(),
    };
    Err(ShutdownError::MetricsUndelivered { reason })
}
