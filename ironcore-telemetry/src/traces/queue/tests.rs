//! The queue against a scripted exporter. The counters belong to the process, so each test compares differences, and
//! the tests take turns.

use super::*;
use crate::series::Reading;
use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

static TURN: Mutex<()> = Mutex::new(());

const BOUNDS: Queue = Queue { capacity: 100, batch: 10, delay: Duration::from_millis(20) };

/// The exporter's reaction to one batch.
#[derive(Clone, Copy)]
enum Reaction {
    Accept,
    Fail,
    Refuse,
    Panic,
    Hang,
}

/// Follows a script, then accepts everything.
struct Scripted {
    script: Vec<Reaction>,
    calls: AtomicUsize,
    accepted: Mutex<Vec<usize>>,
}

impl Scripted {
    fn new(script: &[Reaction]) -> Arc<Self> {
        Arc::new(Self { script: script.to_vec(), calls: AtomicUsize::new(0), accepted: Mutex::default() })
    }

    fn batches(&self) -> Vec<usize> {
        self.accepted.lock().unwrap().clone()
    }
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scripted")
    }
}

impl SpanExporter for Scripted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.script.get(call).unwrap_or(&Reaction::Accept) {
            Reaction::Accept => {
                self.accepted.lock().unwrap().push(batch.len());
                Ok(())
            }
            Reaction::Fail => Err(OTelSdkError::InternalFailure("gRPC code: Unavailable".to_owned())),
            Reaction::Refuse => Err(OTelSdkError::InternalFailure("gRPC code: InvalidArgument".to_owned())),
            Reaction::Panic => panic!("the exporter has a bug"),
            Reaction::Hang => std::future::pending().await,
        }
    }
}

fn span(flags: TraceFlags) -> SpanData {
    SpanData {
        span_context: SpanContext::new(1.into(), 1.into(), flags, false, TraceState::NONE),
        parent_span_id: 0.into(),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "test".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: opentelemetry::InstrumentationScope::default(),
    }
}

fn push(queue: &SpanQueue, spans: usize) {
    (0..spans).for_each(|_| queue.push(span(TraceFlags::SAMPLED)));
}

/// The counts of this signal: `ended`, `exported`, `queued`, `export_failures`, and those dropped by reason.
fn counts() -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for family in series::families().iter().filter(|family| family.metric.name.starts_with("telemetry_")) {
        for series in family.series.iter().filter(|series| series.labels[0].1 == TRACES) {
            let value = match &series.reading {
                Reading::Counter(count) => i64::try_from(count.value).unwrap(),
                Reading::Gauge(value) => *value,
                Reading::Durations(_) => continue,
            };
            let name = family.metric.name.trim_start_matches("telemetry_").trim_end_matches("_total");
            counts.insert(series.labels.get(1).map_or(name, |(_, reason)| reason).to_owned(), value);
        }
    }
    counts
}

/// Runs a scenario on a queue and returns the counts that changed; the ledger must balance.
fn changes(bounds: Queue, scenario: impl AsyncFnOnce(Arc<SpanQueue>)) -> BTreeMap<String, i64> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let queue = SpanQueue::new(bounds);
    let before = counts();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let work = scenario(Arc::clone(&queue));
    let timed = async { tokio::time::timeout(Duration::from_secs(30), work).await };
    runtime.block_on(timed).unwrap();
    runtime.shutdown_background();
    let mut changes = counts();
    for (name, value) in &mut changes {
        *value -= before.get(name).unwrap_or(&0);
    }
    let dropped: i64 =
        ["queue_full", "refused", "expired", "shutdown", "after_shutdown"].iter().map(|reason| changes[*reason]).sum();
    assert_eq!(changes["ended"], changes["exported"] + dropped + changes["queued"], "{changes:?}");
    changes.retain(|_, value| *value != 0);
    // Spans that are still queued would change the counts of the next test.
    let _ = queue.abandon();
    changes
}

/// Restarts the pump after a panic, as the telemetry thread does.
fn keep_pumping(queue: &Arc<SpanQueue>, exporter: &Arc<Scripted>) {
    let (queue, exporter) = (Arc::clone(queue), Arc::clone(exporter));
    tokio::spawn(async move { while tokio::spawn(Arc::clone(&queue).pump(Arc::clone(&exporter))).await.is_err() {} });
}

fn expected(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[test]
fn every_ended_span_is_exported() {
    let exporter = Scripted::new(&[]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 25);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 25), ("exported", 25)]));
}

#[test]
fn spans_wait_for_a_full_batch_or_the_delay() {
    let exporter = Scripted::new(&[]);
    let bounds = Queue { delay: Duration::from_secs(3_600), ..BOUNDS };
    let changes = changes(bounds, async |queue| {
        keep_pumping(&queue, &exporter);
        for _ in 0..23 {
            push(&queue, 1);
            tokio::task::yield_now().await;
        }
        while exporter.batches().len() < 2 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(exporter.batches(), [10, 10]);
    assert_eq!(changes, expected(&[("ended", 23), ("exported", 20), ("queued", 3)]));
}

#[test]
fn a_failed_batch_is_kept_and_delivered_later() {
    let exporter = Scripted::new(&[Reaction::Fail, Reaction::Fail]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 5);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 5), ("exported", 5), ("export_failures", 2)]));
}

#[test]
fn a_refused_batch_is_dropped_at_once_and_the_next_one_is_sent() {
    let exporter = Scripted::new(&[Reaction::Refuse]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 15);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 15), ("exported", 5), ("refused", 10), ("export_failures", 1)]));
}

#[test]
fn an_exporter_that_panics_costs_no_span() {
    let exporter = Scripted::new(&[Reaction::Panic, Reaction::Panic]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 12);
        queue.drained().await;
    });
    assert_eq!(changes, expected(&[("ended", 12), ("exported", 12)]));
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_them() {
    let exporter = Scripted::new(&[Reaction::Hang]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 130);
        tokio::task::yield_now().await;
    });
    assert_eq!(changes, expected(&[("ended", 130), ("queue_full", 30), ("queued", 100)]));
}

#[test]
fn a_batch_abandoned_during_its_export_is_counted_once() {
    let exporter = Scripted::new(&[Reaction::Hang]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 14);
        while exporter.calls.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue.abandon().0, 14);
    });
    assert_eq!(changes, expected(&[("ended", 14), ("shutdown", 14)]));
}

#[test]
fn draining_ends_under_traffic_and_counts_late_spans() {
    let exporter = Scripted::new(&[]);
    let changes = changes(BOUNDS, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 7);
        let busy = Arc::clone(&queue);
        let traffic = std::thread::spawn(move || {
            while !busy.lock().closed {
                std::thread::yield_now();
            }
            push(&busy, 9);
        });
        queue.drained().await;
        traffic.join().unwrap();
    });
    assert_eq!(changes, expected(&[("ended", 16), ("exported", 7), ("after_shutdown", 9)]));
}

#[test]
fn a_batch_larger_than_the_queue_still_leaves_when_the_queue_is_full() {
    let exporter = Scripted::new(&[]);
    let bounds = Queue { capacity: 10, batch: 512, delay: Duration::from_secs(3_600) };
    let changes = changes(bounds, async |queue| {
        keep_pumping(&queue, &exporter);
        push(&queue, 10);
        while exporter.batches().is_empty() {
            tokio::task::yield_now().await;
        }
        // The queue is updated after the exporter returns.
        while queue.lock().len() > 0 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(changes, expected(&[("ended", 10), ("exported", 10)]));
}

#[test]
fn a_span_that_is_not_sampled_is_not_exported() {
    let changes = changes(BOUNDS, async |queue| {
        Processor::new(queue).on_end(span(TraceFlags::NOT_SAMPLED));
    });
    assert_eq!(changes, expected(&[]));
}
