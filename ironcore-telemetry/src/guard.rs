//! The guard that `init` returns, and the shutdown of telemetry: spans first, then metrics, then the thread.

use crate::error::{ShutdownError, UndeliveredSpans};
use crate::metrics::Push;
use crate::traces::SpanQueue;
use crate::worker::Worker;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long a guard that is dropped without `shutdown` tries to deliver what is left.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// How long a dropped guard waits for its last log line to be written.
const LOG_LIMIT: Duration = Duration::from_millis(500);
/// Replaces limits that an `Instant` cannot hold, such as `Duration::MAX`.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// How long the thread may take to end once everything is delivered: it only closes its sockets.
const STOP_LIMIT: Duration = Duration::from_millis(100);

/// Keeps telemetry running. Call [`shutdown`](Self::shutdown) at the end of `main`; dropped without it, the guard
/// delivers what it can within two seconds and logs what it could not.
#[must_use = "telemetry stops when the guard is dropped: keep it until the end of main, then call guard.shutdown(timeout)"]
#[derive(Debug)]
pub struct TelemetryGuard(Option<Pipeline>);

/// What has to be shut down. It does not exist when telemetry is disabled.
pub(crate) struct Pipeline {
    pub(crate) worker: Worker,
    /// The tracer provider itself is never shut down: the SDK would then drop later spans without a trace, where the
    /// closed queue counts them.
    pub(crate) spans: Option<Arc<SpanQueue>>,
    pub(crate) push: Option<Arc<Push>>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pipeline")
    }
}

impl TelemetryGuard {
    pub(crate) const fn new(pipeline: Pipeline) -> Self {
        Self(Some(pipeline))
    }

    pub(crate) const fn disabled() -> Self {
        Self(None)
    }

    /// Delivers what is left, first spans, then metrics, and stops the telemetry thread. Blocks the calling thread for
    /// at most `timeout`, and needs no runtime: the telemetry thread does the work. Spans that end after the call
    /// are not accepted; they are counted as dropped (`after_shutdown`).
    ///
    /// # Errors
    /// What could not be delivered in time.
    pub fn shutdown(mut self, timeout: Duration) -> Result<(), ShutdownError> {
        self.0.take().map_or(Ok(()), |pipeline| pipeline.shut_down(timeout))
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|pipeline| pipeline.shut_down(DROP_LIMIT)) {
            log_loss(&error);
        }
    }
}

/// Logs what was lost, on a thread of its own: a stdout that is not read must not hold up the end of the process.
fn log_loss(error: &ShutdownError) {
    let error = error.to_string();
    let (done, written) = mpsc::channel::<()>();
    let write = move || {
        tracing::error!(target: "ironcore_telemetry", error, "telemetry was lost at the end");
        drop(done);
    };
    if std::thread::Builder::new().spawn(write).is_ok() {
        // Always an error: the sender is dropped without sending, or the time is up.
        let _ = written.recv_timeout(LOG_LIMIT);
    }
}

impl Pipeline {
    fn shut_down(self, timeout: Duration) -> Result<(), ShutdownError> {
        let deadline = Instant::now() + timeout.min(LONGEST);
        let left = || deadline.saturating_duration_since(Instant::now());
        let spans = self.spans.as_ref().and_then(|queue| drain(&self.worker, queue, left()).err());
        let metrics = self.push.as_ref().and_then(|push| push_last(&self.worker, push, left()).err());
        self.worker.stop(STOP_LIMIT.min(left()));
        ShutdownError::check(timeout, spans, metrics)
    }
}

fn drain(worker: &Worker, queue: &Arc<SpanQueue>, limit: Duration) -> Result<(), UndeliveredSpans> {
    let waiting = Arc::clone(queue);
    if worker.run(limit, async move { waiting.drained().await }).is_some() {
        return Ok(());
    }
    match queue.abandon() {
        (0, _) => Ok(()),
        (count, last_failure) => Err(UndeliveredSpans { count, last_failure }),
    }
}

fn push_last(worker: &Worker, push: &Arc<Push>, limit: Duration) -> Result<(), String> {
    let push = Arc::clone(push);
    let result = worker.run(limit, async move { push.push().await });
    result.unwrap_or_else(|| Err("the time was up".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_guard_has_nothing_to_lose() {
        assert!(TelemetryGuard::disabled().shutdown(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_pipeline_without_signals_stops_its_thread() {
        let pipeline = Pipeline { worker: Worker::start().unwrap(), spans: None, push: None };
        assert!(TelemetryGuard::new(pipeline).shutdown(Duration::MAX).is_ok());
    }
}
