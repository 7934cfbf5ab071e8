//! What the calls of one kind are counted in.

use crate::protocol::ResultLabel;
use crate::recorder;
use crate::series::{Ended, Gauge, Metric, Registry, Shard, SpanIds};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Results of one kind of calls that are found without a lock: all statuses of HTTP, and all codes of gRPC.
const RESULTS: usize = 66;

/// The metrics of a layer. The last label of the first two is the result.
pub(crate) struct CallMetrics {
    pub(crate) requests: &'static Metric,
    pub(crate) duration: &'static Metric,
    pub(crate) in_flight: &'static Metric,
}

/// The series of one kind of calls: one endpoint, one method of one peer.
pub struct CallSeries<R> {
    registry: &'static Registry,
    metrics: &'static CallMetrics,
    labels: Box<[&'static str]>,
    in_flight: Gauge,
    ended: [OnceLock<(R, Ended)>; RESULTS],
}

impl<R: ResultLabel> CallSeries<R> {
    pub(crate) fn new(registry: &'static Registry, metrics: &'static CallMetrics, labels: &[&'static str]) -> Self {
        Self {
            registry,
            metrics,
            labels: labels.into(),
            in_flight: registry.gauge(metrics.in_flight, labels),
            ended: [const { OnceLock::new() }; RESULTS],
        }
    }

    /// Counts a call that begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.in_flight.add(1);
    }

    /// Counts an event whose value of a bounded label was outside the label's set.
    pub(crate) fn count_overflow(&self, label: &'static str) {
        recorder::count_overflow(self.registry, self.metrics.requests, label);
    }

    /// Takes back a call that has begun, as it goes on as one of another kind.
    #[cfg(feature = "grpc")]
    pub(crate) fn leave(&self) {
        self.in_flight.add(-1);
    }

    /// Counts a call that ends.
    #[inline]
    pub(crate) fn end(&self, result: R, duration: Duration, sampled: Option<SpanIds>, now: Instant) {
        let shard = Shard::here();
        self.in_flight.add_at(shard, -1);
        self.ended(result).observe(shard, duration, sampled, now);
    }

    #[inline]
    fn ended(&self, result: R) -> Ended {
        let known = self
            .ended
            .iter()
            .map(|slot| slot.get_or_init(|| (result, self.resolve(result))))
            .find(|(known, _)| *known == result);
        known.map_or_else(|| self.resolve(result), |(_, ended)| *ended)
    }

    #[cold]
    fn resolve(&self, result: R) -> Ended {
        let result = result.label();
        let labels: Vec<&str> = self.labels.iter().copied().chain([&*result]).collect();
        Ended {
            count: self.registry.counter(self.metrics.requests, &labels, &[]),
            duration: self.registry.durations(self.metrics.duration, &labels, &[]),
        }
    }
}

impl<R> std::fmt::Debug for CallSeries<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.labels.iter()).finish()
    }
}
