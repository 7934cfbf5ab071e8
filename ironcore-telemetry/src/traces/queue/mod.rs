//! The bounded queue between the threads that end spans and the telemetry thread that exports them.
//!
//! A batch belongs to the queue until the collector has answered, so that at every moment
//! `ended == exported + dropped + queued`.

use super::delivery::Delivery;
use crate::config::Queue;
use crate::names;
use crate::series::{self, Counter, Gauge, Shard};
use crate::traces::last_values;
use crate::worker;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter, SpanProcessor};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The value of the label `signal`.
const TRACES: &str = "traces";
/// Pause after the first failed attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Pause between attempts while the closed queue is drained.
const DRAINING_PAUSE: Duration = Duration::from_millis(100);
/// A batch that could not be delivered for this long is dropped, so that one that always fails cannot block the others.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Spans that wait for export.
pub(crate) struct SpanQueue {
    state: Mutex<State>,
    bounds: Queue,
    /// A full batch waits, or draining began.
    work: Notify,
    /// Everything was delivered or dropped.
    empty: Notify,
    ledger: Ledger,
}

#[derive(Default)]
struct State {
    waiting: Vec<SpanData>,
    /// When the first of the waiting spans arrived.
    waiting_since: Option<Instant>,
    /// The batch that is being delivered, and since when.
    in_flight: Option<(Arc<Vec<SpanData>>, Instant)>,
    /// New spans are refused, and the remaining ones are delivered without delay.
    closed: bool,
    last_failure: Option<String>,
}

/// Counts each span once by what happened to it.
struct Ledger {
    ended: Counter,
    exported: Counter,
    queued: Gauge,
    failures: Counter,
    queue_full: Counter,
    refused: Counter,
    expired: Counter,
    shutdown: Counter,
    after_shutdown: Counter,
}

impl SpanQueue {
    pub(crate) fn new(bounds: Queue) -> Arc<Self> {
        let batch = bounds.batch.min(bounds.capacity);
        Arc::new(Self {
            state: Mutex::new(State {
                // Allocated at once: growing while spans end would copy them all.
                waiting: Vec::with_capacity(batch.saturating_mul(4).min(bounds.capacity)),
                ..State::default()
            }),
            bounds: Queue { batch, ..bounds },
            work: Notify::new(),
            empty: Notify::new(),
            ledger: Ledger::new(),
        })
    }

    /// Exports batches; never returns. Restarted after a panic, it continues with the batch in flight.
    pub(crate) async fn pump<E: SpanExporter>(self: Arc<Self>, exporter: Arc<E>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some((batch, since)) = self.batch() else {
                pause = FIRST_PAUSE;
                let _ = tokio::time::timeout(self.until_due(), self.work.notified()).await;
                continue;
            };
            let result = exporter.export(batch.iter().cloned().map(last_values).collect()).await;
            if self.settle(&result, since) {
                pause = FIRST_PAUSE;
            } else {
                // Closing the queue cuts a long pause short.
                let _ = tokio::time::timeout(pause, self.draining_pause()).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Closes the queue and waits until every span that ended before is delivered or dropped.
    pub(crate) async fn drained(&self) {
        self.lock().closed = true;
        self.work.notify_one();
        loop {
            let emptied = self.empty.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.lock().len() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Closes the queue and drops the remaining spans. Returns their number, and the error of the last attempt if it
    /// failed.
    pub(crate) fn abandon(&self) -> (u64, Option<String>) {
        let mut state = self.lock();
        state.closed = true;
        let left = state.len();
        state.waiting.clear();
        state.in_flight = None;
        self.ledger.remove(left, self.ledger.shutdown);
        (count(left), state.last_failure.take())
    }

    /// The batch in flight, or else a new one if it is due: it is full, its first span has waited long enough, or the
    /// queue is closed.
    fn batch(&self) -> Option<(Arc<Vec<SpanData>>, Instant)> {
        let mut state = self.lock();
        if state.in_flight.is_none() && self.due_in(&state).is_some_and(|left| left.is_zero()) {
            let size = state.waiting.len().min(self.bounds.batch);
            let batch = state.waiting.drain(..size).collect();
            let now = Instant::now();
            // The spans left behind arrived later: counted as new, they leave at most one delay too late.
            state.waiting_since = (!state.waiting.is_empty()).then_some(now);
            state.in_flight = Some((Arc::new(batch), now));
        }
        if state.len() == 0 {
            self.empty.notify_waiters();
        }
        state.in_flight.clone()
    }

    /// The time until the waiting spans are due; `None` when none waits.
    fn due_in(&self, state: &State) -> Option<Duration> {
        let since = state.waiting_since?;
        let now = state.closed || state.waiting.len() >= self.bounds.batch;
        let left = self.bounds.delay.saturating_sub(since.elapsed());
        Some(if now { Duration::ZERO } else { left })
    }

    fn until_due(&self) -> Duration {
        let state = self.lock();
        self.due_in(&state).unwrap_or(self.bounds.delay)
    }

    /// Notes the result of an attempt. Returns whether the batch has left the queue, delivered or dropped.
    fn settle(&self, result: &OTelSdkResult, since: Instant) -> bool {
        let mut state = self.lock();
        match result {
            Ok(()) => note_success(&mut state),
            Err(error) => {
                self.ledger.failures.add(1);
                note_failure(&mut state, &error.to_string());
            }
        }
        let fate = match Delivery::judge(result) {
            Delivery::Acknowledged => self.ledger.exported,
            Delivery::Refused => self.ledger.refused,
            Delivery::Retryable if since.elapsed() >= MAX_AGE => self.ledger.expired,
            Delivery::Retryable => return false,
        };
        // `None` when the batch was abandoned meanwhile, and counted then.
        let size = state.in_flight.take().map_or(0, |(batch, _)| batch.len());
        self.ledger.remove(size, fate);
        true
    }

    /// The pause between attempts once the queue is closed.
    async fn draining_pause(&self) {
        while !self.lock().closed {
            self.work.notified().await;
        }
        tokio::time::sleep(DRAINING_PAUSE).await;
    }

    #[inline]
    fn push(&self, span: SpanData) {
        let shard = Shard::here();
        self.ledger.ended.add_at(shard, 1);
        let mut state = self.lock();
        if state.closed {
            return self.ledger.after_shutdown.add(1);
        }
        if state.len() >= self.bounds.capacity {
            return self.ledger.queue_full.add(1);
        }
        state.waiting.push(span);
        let first = state.waiting_since.is_none();
        if first {
            state.waiting_since = Some(Instant::now());
        }
        self.ledger.queued.add_at(shard, 1);
        let full = state.waiting.len() == self.bounds.batch;
        drop(state);
        if full {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only an allocation can panic under the lock, and it leaves the state consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Remembers the error of an attempt. Logged once per outage; the counters show the rest.
fn note_failure(state: &mut State, error: &str) {
    let error = error.to_owned();
    if state.last_failure.replace(error.clone()).is_none() {
        worker::log(move || tracing::warn!(target: "ironcore_telemetry", error, "spans cannot be delivered"));
    }
}

fn note_success(state: &mut State) {
    if state.last_failure.take().is_some() {
        worker::log(|| tracing::info!(target: "ironcore_telemetry", "spans are delivered again"));
    }
}

impl State {
    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.as_ref().map_or(0, |(batch, _)| batch.len())
    }
}

impl Ledger {
    fn new() -> Self {
        let dropped = |reason| series::counter(&names::TELEMETRY_DROPPED, &[TRACES, reason]);
        Self {
            ended: series::counter(&names::TELEMETRY_ENDED, &[TRACES]),
            exported: series::counter(&names::TELEMETRY_EXPORTED, &[TRACES]),
            queued: series::gauge(&names::TELEMETRY_QUEUED, &[TRACES]),
            failures: series::counter(&names::TELEMETRY_EXPORT_FAILURES, &[TRACES]),
            queue_full: dropped("queue_full"),
            refused: dropped("refused"),
            expired: dropped("expired"),
            shutdown: dropped("shutdown"),
            after_shutdown: dropped("after_shutdown"),
        }
    }

    /// Counts spans that leave the queue, by their fate.
    fn remove(&self, spans: usize, fate: Counter) {
        fate.add(count(spans));
        self.queued.add(-i64::try_from(spans).unwrap_or(i64::MAX));
    }
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

/// The queue as a span processor of the SDK.
pub(super) struct Processor(Arc<SpanQueue>);

impl Processor {
    pub(super) fn new(queue: Arc<SpanQueue>) -> Self {
        Self(queue)
    }
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SpanQueue")
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // The guard flushes: it waits on the telemetry thread with a time limit, which this call lacks.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        // As above. Spans that end later still arrive, so that they are counted.
        Ok(())
    }
}

#[cfg(test)]
mod tests;
