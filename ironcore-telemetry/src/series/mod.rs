//! Counters, gauges and duration histograms of closed label sets, made for the calling thread.
//!
//! A handle points at cells that live as long as the process, one set of cells a shard, and each thread writes to its
//! own shard: recording takes no lock, allocates nothing and does not meet other cores. The values are integers
//! (durations in nanoseconds), so no value can poison a sum. Labels are rendered once, when a series is made.

mod cells;
mod exemplar;
#[cfg(all(test, not(ironcore_loom)))]
mod model;
mod registry;
mod sync;
mod text;

pub(crate) use cells::{Counter, Durations, Ended, Gauge, Shard};
pub(crate) use exemplar::{Exemplar, Ids};
#[cfg(test)]
pub(crate) use registry::Count;
#[cfg(test)]
pub(crate) use registry::durations;
pub(crate) use registry::{Distribution, Family, Labels, Reading, Registry, Series, counter, families, gauge, process};
pub(crate) use text::{Format, render};

/// What a metric is. One static each, in [`names`](crate::names).
#[derive(Debug)]
pub(crate) struct Metric {
    /// The name on `/metrics`, unit and `_total` suffix included.
    pub(crate) name: &'static str,
    /// One sentence for people.
    pub(crate) help: &'static str,
    /// How it counts.
    pub(crate) kind: Kind,
    /// The label names, in the order in which values are given.
    pub(crate) labels: &'static [&'static str],
    /// Those of the labels whose values are learned while the service runs: a value outside the label's set is counted as
    /// `_OTHER`, and the event in `telemetry_label_overflow_total`.
    pub(crate) bounded: &'static [&'static str],
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Distribution of durations; the upper bounds of its buckets in nanoseconds, rising.
    Durations(&'static [u64]),
}

impl Kind {
    /// The bounds of its buckets; none when it has no buckets.
    pub(crate) const fn bounds(self) -> &'static [u64] {
        match self {
            Self::Durations(bounds) => bounds,
            Self::Counter | Self::Gauge => &[],
        }
    }
}
