//! The bounded queue between the threads that end spans and the telemetry thread that exports them.
//!
//! A batch belongs to the queue until the collector has acknowledged it, so that at every quiet moment
//! `ended == exported + dropped + queued`.

use crate::config::Queue;
use crate::names;
use crate::series::{self, Counter, Gauge};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter, SpanProcessor};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The label of this signal.
const TRACES: &str = "traces";
/// Pause after a first failed attempt; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Pause between attempts while the queue is being drained for the end.
const DRAINING_PAUSE: Duration = Duration::from_millis(100);
/// A batch that could not be delivered for this long is dropped, so that one that is refused for ever cannot hold up
/// the others.
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
    waiting: VecDeque<SpanData>,
    /// The batch that is on its way.
    in_flight: Vec<SpanData>,
    draining: bool,
    closed: bool,
    last_failure: Option<String>,
}

/// What happened to each span, counted once.
struct Ledger {
    ended: Counter,
    exported: Counter,
    queued: Gauge,
    failures: Counter,
    queue_full: Counter,
    expired: Counter,
    shutdown: Counter,
    after_shutdown: Counter,
}

impl SpanQueue {
    pub(crate) fn new(bounds: Queue) -> Arc<Self> {
        let (work, empty) = (Notify::new(), Notify::new());
        Arc::new(Self {
            state: Mutex::default(),
            bounds,
            work,
            empty,
            ledger: Ledger::new(),
        })
    }

    /// Exports what comes in, for ever.
    pub(crate) async fn pump<E: SpanExporter>(self: Arc<Self>, exporter: Arc<E>) {
        loop {
            if self.form_batch() {
                self.deliver(&*exporter).await;
            } else {
                self.empty.notify_waiters();
                // A batch is sent when it is full, when its first span has waited long enough, or when draining.
                let _ = tokio::time::timeout(self.bounds.delay, self.work.notified()).await;
            }
        }
    }

    /// Waits until everything that ended before has been delivered or dropped.
    pub(crate) async fn drained(&self) {
        self.lock().draining = true;
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

    /// Gives up what is left: how many spans that were, and what the last failed attempt ended with.
    pub(crate) fn abandon(&self) -> (u64, Option<String>) {
        let mut state = self.lock();
        state.closed = true;
        let left = state.len();
        state.waiting.clear();
        state.in_flight.clear();
        self.ledger.left(left, self.ledger.shutdown);
        (count(left), state.last_failure.take())
    }

    /// Puts a batch in flight when none is; says whether one is now.
    fn form_batch(&self) -> bool {
        let mut state = self.lock();
        if state.in_flight.is_empty() {
            let size = state.waiting.len().min(self.bounds.batch);
            state.in_flight = state.waiting.drain(..size).collect();
        }
        !state.in_flight.is_empty()
    }

    /// Tries until the batch in flight was taken or is too old.
    async fn deliver<E: SpanExporter>(&self, exporter: &E) {
        let born = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let batch = self.lock().in_flight.clone();
            if batch.is_empty() {
                // Too old, or abandoned in the meantime.
                return;
            }
            match exporter.export(batch).await {
                Ok(()) => return self.delivered(),
                Err(error) => self.failed(&error, born.elapsed() >= MAX_AGE),
            }
            // Draining cuts a long pause short.
            let _ = tokio::time::timeout(pause, self.draining_pause()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The pause between attempts from the moment on that the queue is being drained.
    async fn draining_pause(&self) {
        while !self.lock().draining {
            self.work.notified().await;
        }
        tokio::time::sleep(DRAINING_PAUSE).await;
    }

    fn delivered(&self) {
        let mut state = self.lock();
        let size = std::mem::take(&mut state.in_flight).len();
        let recovered = state.last_failure.take().is_some();
        drop(state);
        self.ledger.left(size, self.ledger.exported);
        if recovered {
            tracing::info!(target: "ironcore_telemetry", "spans are delivered again");
        }
    }

    fn failed(&self, error: &OTelSdkError, expired: bool) {
        self.ledger.failures.add(1);
        let mut state = self.lock();
        let first = state.last_failure.replace(error.to_string()).is_none();
        let size = if expired {
            std::mem::take(&mut state.in_flight).len()
        } else {
            0
        };
        drop(state);
        if first {
            // Said once for each outage; the counters tell the rest.
            tracing::warn!(target: "ironcore_telemetry", %error, "spans cannot be delivered; they are kept and tried again");
        }
        self.ledger.left(size, self.ledger.expired);
    }

    fn push(&self, span: SpanData) {
        self.ledger.ended.add(1);
        let mut state = self.lock();
        if state.closed {
            return self.ledger.after_shutdown.add(1);
        }
        if state.len() >= self.bounds.capacity {
            return self.ledger.queue_full.add(1);
        }
        state.waiting.push_back(span);
        let full = state.waiting.len().is_multiple_of(self.bounds.batch);
        drop(state);
        self.ledger.queued.add(1);
        if full {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held but an allocation; the state is whole then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
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
            expired: dropped("expired"),
            shutdown: dropped("shutdown"),
            after_shutdown: dropped("after_shutdown"),
        }
    }

    /// Counts spans that left the queue.
    fn left(&self, spans: usize, towards: Counter) {
        towards.add(count(spans));
        self.queued.add(-i64::try_from(spans).unwrap_or(i64::MAX));
    }
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

/// The SDK's view of the queue.
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
        // Flushing is the guard's: it waits on the telemetry thread with a limit, which this call has not.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.lock().closed = true;
        Ok(())
    }
}
