//! Spans on their way to a collector that fails, and the comparison of the ledger with what has arrived.

use ironcore_telemetry as telemetry;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;
use support::{Child, FaultCollector, Mode, PATIENCE, SpanId, sample, wait_for};
use telemetry::{Config, TelemetryGuard};

pub(crate) const GRPC: &str = "grpc";
pub(crate) const HTTP: &str = "http/protobuf";

/// The reasons for which a span can be dropped.
const REASONS: [&str; 9] = [
    "queue_full",
    "queue_bytes",
    "too_large",
    "rejected",
    "refused",
    "expired",
    "deadline",
    "after_shutdown",
    "internal",
];

/// Telemetry that exports to a collector in this process, and the ids of all spans that ended.
pub(crate) struct Traffic {
    pub(crate) collector: FaultCollector,
    pub(crate) guard: TelemetryGuard,
    born: Mutex<HashSet<SpanId>>,
}

/// The ledger of the spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) ended: u64,
    pub(crate) exported: u64,
    pub(crate) queued: u64,
    /// Only the reasons for which any was dropped.
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

/// One span of ours; returns its id.
#[telemetry::instrument_business]
pub(crate) fn create_wallet() -> SpanId {
    Context::current().span().span_context().span_id().to_bytes()
}

impl Traffic {
    /// The collector takes everything until it is told otherwise.
    pub(crate) fn start() -> Self {
        Self::start_in(Mode::Ok)
    }

    pub(crate) fn start_in(mode: Mode) -> Self {
        let collector = FaultCollector::start();
        collector.set(mode);
        let config = Config::new("tests").endpoint(collector.url()).metrics_listener(None);
        let guard = telemetry::init_with(config).expect("telemetry starts");
        Self { collector, guard, born: Mutex::default() }
    }

    /// Ends so many spans, on so many threads at once.
    pub(crate) fn record(&self, spans: usize, producers: usize) {
        std::thread::scope(|scope| {
            for producer in 0..producers {
                let share = spans / producers + usize::from(producer < spans % producers);
                scope.spawn(move || {
                    let ids: Vec<_> = (0..share).map(|_| create_wallet()).collect();
                    self.born.lock().unwrap().extend(ids);
                });
            }
        });
    }

    /// Ends one span with so many attributes of 8 KiB, the longest that a value may be.
    pub(crate) fn record_large(&self, attributes: usize) {
        let mut span = opentelemetry::global::tracer("tests").start("large");
        for number in 0..attributes {
            span.set_attribute(KeyValue::new(format!("attribute.{number}"), "a value, ".repeat(910)));
        }
        self.born.lock().unwrap().insert(span.span_context().span_id().to_bytes());
        span.end();
    }

    pub(crate) fn numbers(&self) -> Numbers {
        Numbers::of(&self.guard.ledger())
    }

    /// Waits until spans have been delivered, dropped, or have failed to be.
    pub(crate) fn wait_for_effect(&self, before: &Numbers, failures: f64) {
        wait_for("an effect of the fault", || {
            let now = self.numbers();
            let changed = now.dropped != before.dropped || now.exported != before.exported;
            (changed || failed_attempts() > failures).then_some(())
        });
    }

    /// Waits until nothing is queued.
    pub(crate) fn wait_until_empty(&self) {
        wait_for("the queue to be empty", || (self.numbers().queued == 0).then_some(()));
    }

    /// Delivers what is left to a collector that works, and compares.
    #[track_caller]
    pub(crate) fn recover(&self, what: &str) -> Numbers {
        self.collector.set(Mode::Ok);
        let report = self.guard.flush(PATIENCE);
        let numbers = Numbers::of(&report);
        assert_eq!(numbers.queued, 0, "{what}: {report}");
        assert_eq!(self.assert_exact(what), numbers, "{what}: the report of the flush");
        numbers
    }

    /// Every span is exported, dropped or queued, and the exported ones are those that the collector has.
    #[track_caller]
    pub(crate) fn assert_exact(&self, what: &str) -> Numbers {
        let (numbers, received, missing) = self.compare(what);
        assert_eq!(numbers.exported, received, "{what}: exported, received: {numbers:?}");
        assert_eq!(missing, numbers.lost() + numbers.queued, "{what}: missing, dropped and queued: {numbers:?}");
        numbers
    }

    /// As [`Self::assert_exact`], where spans may have arrived whose answer was lost: they are counted as lost, as far
    /// as anyone knows.
    #[track_caller]
    pub(crate) fn assert_no_more_than_received(&self, what: &str) -> Numbers {
        let (numbers, received, missing) = self.compare(what);
        assert!(numbers.exported <= received, "{what}: {received} received: {numbers:?}");
        assert!(missing <= numbers.lost() + numbers.queued, "{what}: {missing} missing: {numbers:?}");
        numbers
    }

    /// The ledger, the number of received spans, the number of missing ones.
    #[track_caller]
    fn compare(&self, what: &str) -> (Numbers, u64, u64) {
        let numbers = self.numbers();
        let born = self.born.lock().unwrap();
        let received = self.collector.ids();
        assert!(received.is_subset(&born), "{what}: spans that nobody made");
        assert_eq!(numbers.ended, count(born.len()), "{what}: {numbers:?}");
        assert_eq!(numbers.ended, numbers.exported + numbers.lost() + numbers.queued, "{what}: {numbers:?}");
        (numbers, count(received.len()), count(born.difference(&received).count()))
    }
}

impl Numbers {
    pub(crate) fn of(report: &telemetry::Report) -> Self {
        let ledger = report.signal("traces").expect("the ledger of the spans");
        let dropped: BTreeMap<_, _> =
            REASONS.iter().map(|reason| (*reason, ledger.dropped(reason))).filter(|(_, spans)| *spans > 0).collect();
        let numbers = Self { ended: ledger.ended(), exported: ledger.exported(), queued: ledger.queued(), dropped };
        assert_eq!(numbers.lost(), ledger.dropped_total(), "the sum of all reasons");
        assert_eq!(report.is_complete(), numbers.lost() == 0 && numbers.queued == 0, "{numbers:?}");
        numbers
    }

    /// Spans that were dropped, for whatever reason.
    pub(crate) fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// How many more were dropped for this reason than before.
    pub(crate) fn dropped_since(&self, before: &Self, reason: &str) -> u64 {
        let of = |numbers: &Self| numbers.dropped.get(reason).copied().unwrap_or_default();
        of(self) - of(before)
    }
}

/// How many attempts to export spans have failed.
pub(crate) fn failed_attempts() -> f64 {
    sample(&telemetry::scrape::render(), r#"telemetry_export_failures_total{signal="traces"}"#)
}

fn count(number: usize) -> u64 {
    number.try_into().expect("a count")
}

/// Runs the scenario over both protocols at once, in two children.
pub(crate) fn over_both(child: &Child) {
    std::thread::scope(|scope| {
        for protocol in [GRPC, HTTP] {
            let child = child.clone().env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            scope.spawn(move || child.run());
        }
    });
}

/// Whether this child exports over gRPC.
pub(crate) fn is_grpc() -> bool {
    std::env::var("OTEL_EXPORTER_OTLP_PROTOCOL").is_ok_and(|protocol| protocol == GRPC)
}

/// A child that exports without delay, and whose requests time out soon.
pub(crate) fn hasty(child: Child) -> Child {
    child.env("OTEL_BSP_SCHEDULE_DELAY", "10").env("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
}

/// How long this took.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begin = std::time::Instant::now();
    let result = run();
    (result, begin.elapsed())
}
