//! All series of the process, by metric.

use super::cells::{Cells, Counter, Durations, Gauge};
use super::{Kind, Metric};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All series, by metric name, in the order of the page.
static REGISTRY: Mutex<BTreeMap<&'static str, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    metric: &'static Metric,
    series: BTreeMap<Vec<String>, &'static Cells>,
}

/// The counter of this metric with these label values: the same cells for the same values, zero when new.
pub(crate) fn counter(metric: &'static Metric, values: &[&str]) -> Counter {
    debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
    Counter(cells(metric, values))
}

/// The gauge of this metric with these label values.
pub(crate) fn gauge(metric: &'static Metric, values: &[&str]) -> Gauge {
    debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
    Gauge(cells(metric, values))
}

/// The histogram of this metric with these label values.
pub(crate) fn durations(metric: &'static Metric, values: &[&str]) -> Durations {
    let bounds = match metric.kind {
        Kind::Durations(bounds) => bounds,
        Kind::Counter | Kind::Gauge => &[],
    };
    Durations {
        cells: cells(metric, values),
        bounds,
    }
}

/// What all series hold now, by metric name and label values.
pub(crate) fn families() -> Vec<Family> {
    registry().values().map(Family::read).collect()
}

/// One metric and its series at one moment.
pub(crate) struct Family {
    pub(crate) metric: &'static Metric,
    pub(crate) series: Vec<Series>,
}

/// One series at one moment.
pub(crate) struct Series {
    /// In the order of the metric's label names.
    pub(crate) labels: Vec<String>,
    pub(crate) reading: Reading,
}

/// What a series holds.
pub(crate) enum Reading {
    Counter(u64),
    Gauge(i64),
    /// Counts a bucket (not cumulated; the last one is above all bounds) and the sum in nanoseconds.
    Durations {
        buckets: Vec<u64>,
        sum: u64,
    },
}

impl Family {
    fn read(entry: &Entry) -> Self {
        let read = |cells: &Cells| match entry.metric.kind {
            Kind::Counter => Reading::Counter(cells.sum(0)),
            Kind::Gauge => Reading::Gauge(cells.sum(0).cast_signed()),
            Kind::Durations(bounds) => Reading::Durations {
                buckets: (0..=bounds.len()).map(|bucket| cells.sum(bucket)).collect(),
                sum: cells.sum(bounds.len() + 1),
            },
        };
        let series = entry.series.iter().map(|(labels, cells)| Series {
            labels: labels.clone(),
            reading: read(cells),
        });
        Self {
            metric: entry.metric,
            series: series.collect(),
        }
    }
}

fn cells(metric: &'static Metric, values: &[&str]) -> &'static Cells {
    debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
    let words = match metric.kind {
        Kind::Counter | Kind::Gauge => 1,
        Kind::Durations(bounds) => Durations::words(bounds),
    };
    let labels = values.iter().map(ToString::to_string).collect();
    let mut registry = registry();
    let entry = registry.entry(metric.name).or_insert_with(|| Entry {
        metric,
        series: BTreeMap::new(),
    });
    entry
        .series
        .entry(labels)
        .or_insert_with(|| Cells::leak(words))
}

fn registry() -> MutexGuard<'static, BTreeMap<&'static str, Entry>> {
    // A panic while the map was locked leaves it whole: every change is one insertion.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}
