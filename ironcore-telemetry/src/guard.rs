//! The guard that `init` returns: flush and shutdown, spans first, then metrics, then the thread.

use crate::export::Queue;
use crate::metrics::Push;
use crate::report::Report;
use crate::worker::{self, Worker};
use opentelemetry_sdk::trace::SpanData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a guard that is dropped without `shutdown` tries to deliver what is left.
const DROP_LIMIT: Duration = Duration::from_secs(2);
/// How long a dropped guard waits for its last log line to be written.
const LOG_LIMIT: Duration = Duration::from_millis(500);
/// Replaces limits that an `Instant` cannot hold, such as `Duration::MAX`.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// The most of the time that is kept for the last push of metrics.
const METRICS_SHARE: Duration = Duration::from_secs(1);
/// How long the thread may take to end once everything is delivered: it only closes its sockets.
const STOP_LIMIT: Duration = Duration::from_millis(100);

/// Keeps telemetry running. Call [`shutdown`](Self::shutdown) at the end of `main`; dropped without it, the guard
/// delivers what it can within two seconds and logs what it could not.
#[must_use = "telemetry stops when the guard is dropped: keep it until the end of main, then call guard.shutdown(timeout)"]
#[derive(Debug)]
pub struct TelemetryGuard(Option<Arc<Pipeline>>);

/// What has to be shut down. It does not exist when telemetry is disabled.
pub(crate) struct Pipeline {
    worker: Worker,
    /// The tracer provider itself is never shut down: the SDK would then drop later spans without a trace, where the
    /// closed queue counts them.
    spans: Option<Arc<Queue<SpanData>>>,
    push: Option<Arc<Push>>,
    stage: Mutex<Stage>,
    ended: Condvar,
}

/// How far the shutdown is.
enum Stage {
    Running,
    ShuttingDown,
    ShutDown(Report),
}

impl TelemetryGuard {
    pub(crate) const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(Some(pipeline))
    }

    pub(crate) const fn disabled() -> Self {
        Self(None)
    }

    /// Delivers what is left, first spans, then metrics, and stops the telemetry thread. Blocks the calling thread for
    /// at most `timeout`, and needs no runtime: the telemetry thread does the work. Spans that end after the call
    /// are not accepted; they are counted as dropped (`after_shutdown`). If no collector was ever reached, it gives up
    /// after half a second. What is in the spool then stays there, for the next start.
    ///
    /// A second call, also from another thread, waits for the first one, for at most its own `timeout`, and returns the same
    /// report.
    pub fn shutdown(&self, timeout: Duration) -> Report {
        self.0.as_ref().map_or_else(Report::default, |pipeline| pipeline.shut_down(timeout))
    }

    /// As [`shutdown`](Self::shutdown), without blocking the calling thread. It works on any runtime. A future that is
    /// dropped does not stop the shutdown.
    pub async fn shutdown_async(&self, timeout: Duration) -> Report {
        self.aside(move |pipeline| pipeline.shut_down(timeout)).await
    }

    /// Delivers everything that has ended before the call, and the metrics as they stand: before a process is frozen
    /// (AWS Lambda), or in a test. Blocks the calling thread for at most `timeout`. What is not delivered then stays queued.
    pub fn flush(&self, timeout: Duration) -> Report {
        self.0.as_ref().map_or_else(Report::default, |pipeline| pipeline.flush(timeout))
    }

    /// As [`flush`](Self::flush), without blocking the calling thread. It works on any runtime.
    pub async fn flush_async(&self, timeout: Duration) -> Report {
        self.aside(move |pipeline| pipeline.flush(timeout)).await
    }

    /// What became of the telemetry of this process so far.
    pub fn ledger(&self) -> Report {
        self.0.as_ref().map_or_else(Report::default, |pipeline| pipeline.report(None))
    }

    /// Runs blocking work on a thread of its own.
    async fn aside(&self, work: impl FnOnce(&Pipeline) -> Report + Send + 'static) -> Report {
        let Some(pipeline) = self.0.clone() else {
            return Report::default();
        };
        let (done, report) = oneshot::channel();
        let body = move || {
            // The caller may have gone away.
            let _ = done.send(work(&pipeline));
        };
        // Dropped with `done` where no thread can be started.
        let _ = std::thread::Builder::new().name("ironcore-telemetry-flush".to_owned()).spawn(body);
        report.await.unwrap_or_else(|_| self.ledger())
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(pipeline) = self.0.take() {
            pipeline.end(DROP_LIMIT);
        }
    }
}

/// Logs what was not delivered. A stdout that is not read holds up the end of the process for a moment only.
fn log_loss(report: &Report) {
    let (report, is_safe) = (report.to_string(), report.is_safe());
    worker::log(move || {
        if is_safe {
            tracing::warn!(target: "ironcore_telemetry", report, "telemetry waits in the spool for the next start");
        } else {
            tracing::error!(target: "ironcore_telemetry", report, "telemetry was lost");
        }
    });
    worker::flush_log(LOG_LIMIT);
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pipeline")
    }
}

impl Pipeline {
    pub(crate) const fn new(worker: Worker, spans: Option<Arc<Queue<SpanData>>>, push: Option<Arc<Push>>) -> Self {
        Self { worker, spans, push, stage: Mutex::new(Stage::Running), ended: Condvar::new() }
    }

    fn flush(&self, timeout: Duration) -> Report {
        let metrics = self.deliver(timeout);
        self.report(metrics)
    }

    /// Delivers what is there. Returns why the metrics were not.
    pub(crate) fn deliver(&self, timeout: Duration) -> Option<String> {
        let deadline = deadline(timeout);
        if let Some(queue) = self.spans.clone() {
            // What is left is in the report.
            let _ = self.worker.run(self.left_for_spans(deadline), async move { queue.flushed().await });
        }
        let metrics = self.push_metrics(deadline, false);
        flush_lines(deadline);
        metrics
    }

    /// The time for spans: where metrics are pushed, not all of it.
    fn left_for_spans(&self, deadline: Instant) -> Duration {
        let left = left(deadline);
        if self.push.is_some() { left.saturating_sub((left / 4).min(METRICS_SHARE)) } else { left }
    }

    fn shut_down(&self, timeout: Duration) -> Report {
        let deadline = deadline(timeout);
        if !self.begin_shutdown(deadline) {
            return match &*self.stage() {
                Stage::ShutDown(report) => report.clone(),
                Stage::Running | Stage::ShuttingDown => self.report(None),
            };
        }
        if let Some(queue) = self.spans.clone() {
            let draining = Arc::clone(&queue);
            let limit = self.left_for_spans(deadline);
            let _ = self.worker.run(limit, async move { draining.drained().await });
            // What is left is counted here, also when the thread does not answer any more.
            queue.abandon();
        }
        let metrics = self.push_metrics(deadline, true);
        self.worker.stop(STOP_LIMIT.min(left(deadline)));
        flush_lines(deadline);
        let report = self.report(metrics);
        *self.stage() = Stage::ShutDown(report.clone());
        self.ended.notify_all();
        report
    }

    /// Shuts down where nobody has, and logs what was lost.
    pub(crate) fn end(&self, timeout: Duration) {
        if matches!(*self.stage(), Stage::ShutDown(_)) {
            return;
        }
        let report = self.shut_down(timeout);
        if !report.is_complete() {
            log_loss(&report);
        }
    }

    /// Whether the caller is the one who shuts down. Any other one waits for it until his deadline.
    fn begin_shutdown(&self, deadline: Instant) -> bool {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Running) {
            *stage = Stage::ShuttingDown;
            return true;
        }
        let is_running = |stage: &mut Stage| matches!(stage, Stage::ShuttingDown);
        // A little longer: with the same limit, the one who shuts down ends at the same moment.
        drop(self.ended.wait_timeout_while(stage, left(deadline) + STOP_LIMIT, is_running));
        false
    }

    /// Pushes the metrics once more, for the last time with several attempts. Returns why that failed.
    fn push_metrics(&self, deadline: Instant, is_last: bool) -> Option<String> {
        let push = self.push.clone()?;
        let pushing = Arc::clone(&push);
        let pushed = self
            .worker
            .run(left(deadline), async move { if is_last { pushing.finish().await } else { pushing.push().await } });
        let late = || Err(push.last_failure().unwrap_or_else(|| "the time was up".to_owned()));
        pushed.unwrap_or_else(late).err()
    }

    fn report(&self, metrics_failure: Option<String>) -> Report {
        let signals = self.spans.iter().map(|queue| queue.ledger()).collect();
        Report { signals, metrics_failure }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the log lines are written.
fn flush_lines(deadline: Instant) {
    #[cfg(feature = "json-logs")]
    // Those that are left are written as soon as somebody reads them.
    let _ = crate::logs::flush_stdout(left(deadline));
    #[cfg(not(feature = "json-logs"))]
    let _ = deadline;
}

fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(LONGEST)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_guard_has_nothing_to_lose() {
        let guard = TelemetryGuard::disabled();
        assert!(guard.flush(Duration::ZERO).is_complete() && guard.shutdown(Duration::ZERO).is_complete());
    }

    #[test]
    fn a_pipeline_without_signals_stops_its_thread() {
        let guard = TelemetryGuard::new(Arc::new(Pipeline::new(Worker::start().unwrap(), None, None)));
        assert!(guard.shutdown(Duration::MAX).is_complete());
        assert!(guard.shutdown(Duration::MAX).is_complete());
    }
}
