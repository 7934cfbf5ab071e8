//! What the calls of one kind are counted by.

use crate::series::{Ended, Gauge, Metric, Registry, Shard, SpanIds};
use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Results of one kind of calls that are found without a lock: all statuses of HTTP, and all codes of gRPC.
const RESULTS: usize = 66;

/// The metrics of a layer. The last label of the first two is the result.
pub(crate) struct Metrics {
    pub(crate) requests: &'static Metric,
    pub(crate) duration: &'static Metric,
    pub(crate) in_flight: &'static Metric,
}

/// The series of one kind of calls: one endpoint, one method of one peer.
pub(crate) struct CallSeries {
    registry: &'static Registry,
    metrics: &'static Metrics,
    labels: Box<[&'static str]>,
    in_flight: Gauge,
    ended: [OnceLock<(u16, Ended)>; RESULTS],
    /// How a result is called.
    result: fn(u16) -> Cow<'static, str>,
}

impl CallSeries {
    pub(crate) fn new(
        registry: &'static Registry,
        metrics: &'static Metrics,
        labels: &[&'static str],
        result: fn(u16) -> Cow<'static, str>,
    ) -> Self {
        Self {
            registry,
            metrics,
            labels: labels.into(),
            in_flight: registry.gauge(metrics.in_flight, labels),
            ended: [const { OnceLock::new() }; RESULTS],
            result,
        }
    }

    /// Counts a call that begins.
    #[inline]
    pub(crate) fn begin(&self) {
        self.in_flight.add(1);
    }

    /// Takes back a call that begins, as it goes on as one of another kind.
    #[cfg(feature = "grpc")]
    pub(crate) fn leave(&self) {
        self.in_flight.add(-1);
    }

    /// Counts a call that ends.
    #[inline]
    pub(crate) fn end(&self, result: u16, duration: Duration, sampled: Option<SpanIds>, now: Instant) {
        let shard = Shard::here();
        self.in_flight.add_at(shard, -1);
        self.ended(result).observe(shard, duration, sampled, now);
    }

    #[inline]
    fn ended(&self, result: u16) -> Ended {
        let known = self
            .ended
            .iter()
            .map(|place| place.get_or_init(|| (result, self.resolve(result))))
            .find(|(known, _)| *known == result);
        known.map_or_else(|| self.resolve(result), |(_, ended)| *ended)
    }

    #[cold]
    fn resolve(&self, result: u16) -> Ended {
        let text = (self.result)(result);
        let labels: Vec<&str> = self.labels.iter().copied().chain([&*text]).collect();
        Ended {
            count: self.registry.counter(self.metrics.requests, &labels, &[]),
            duration: self.registry.durations(self.metrics.duration, &labels, &[]),
        }
    }
}
