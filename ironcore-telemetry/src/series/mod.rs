//! Counters, gauges and duration histograms with bounded label sets, sharded by thread.
//!
//! A handle points at cells that live as long as the process. There is one set of cells per shard, and each thread
//! writes to its own shard: an update takes no lock, allocates nothing and does not contend with other cores. The
//! values are integers (durations in nanoseconds), so no value can turn a sum into NaN. Labels are stored once, when a
//! series is created.

mod cells;
mod exemplar;
#[cfg(all(test, not(ironcore_loom)))]
mod model;
pub(crate) mod native;
mod registry;
mod sync;
mod text;

pub(crate) use cells::{Counter, Durations, Ended, Gauge, Shard};
pub(crate) use exemplar::{Exemplar, SpanIds, omit_exemplars};
#[cfg(feature = "prometheus")]
pub(crate) use registry::native_families;
pub(crate) use registry::{Count, Distribution, Family, Labels, Reading, Registry, Series, counter, gauge, process};
#[cfg(test)]
pub(crate) use registry::{durations, families};
pub(crate) use text::{Format, render};
#[cfg(feature = "prometheus")]
pub(crate) use text::{braced, push_label, write_created};

/// The definition of a metric. Each is a static in [`names`](crate::names).
#[derive(Debug)]
pub(crate) struct Metric {
    /// The name on `/metrics`, unit and `_total` suffix included.
    pub(crate) name: &'static str,
    /// The help text: one sentence.
    pub(crate) help: &'static str,
    /// The kind of its values.
    pub(crate) kind: Kind,
    /// The label names, in the order in which values are given.
    pub(crate) labels: &'static [&'static str],
    /// Those of the labels whose values are learned while the service runs: a value outside the label's set is counted
    /// as `_OTHER`, and the event in `telemetry_label_overflow_total`.
    pub(crate) bounded: &'static [&'static str],
}

/// The kind of a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sum that only rises.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// A histogram of durations, with the upper bounds of its buckets in nanoseconds, in ascending order.
    Durations(&'static [u64]),
}

impl Kind {
    /// The upper bounds of its buckets; empty for a counter or a gauge.
    pub(crate) const fn bounds(self) -> &'static [u64] {
        match self {
            Self::Durations(bounds) => bounds,
            Self::Counter | Self::Gauge => &[],
        }
    }
}

/// A duration in nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a sum of nanoseconds in a float is exact to 15 digits")]
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
