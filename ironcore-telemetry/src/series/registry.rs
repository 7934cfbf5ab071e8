//! All series, by metric and labels.

use super::cells::{Cells, Counter, Durations, Gauge};
use super::exemplar::{Exemplar, Exemplars};
use super::{Kind, Metric};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names and values of a series, in the order of the page.
pub(crate) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// The series of this process.
static PROCESS: Registry = Registry::new();

/// The counter of this metric with these label values: the same cells for the same values, zero when new.
pub(crate) fn counter(metric: &'static Metric, values: &[&str]) -> Counter {
    PROCESS.counter(metric, values, &[])
}

/// The gauge of this metric with these label values.
pub(crate) fn gauge(metric: &'static Metric, values: &[&str]) -> Gauge {
    PROCESS.gauge(metric, values)
}

/// The histogram of this metric with these label values.
#[cfg(test)]
pub(crate) fn durations(metric: &'static Metric, values: &[&str]) -> Durations {
    PROCESS.durations(metric, values, &[])
}

/// What all series of this process hold now, by metric name and labels.
pub(crate) fn families() -> Vec<Family> {
    PROCESS.families()
}

/// The registry of this process.
pub(crate) fn process() -> &'static Registry {
    &PROCESS
}

/// Series by metric name. There is one for the process, and one for each capture of a test.
pub(crate) struct Registry(Mutex<BTreeMap<&'static str, Entry>>);

struct Entry {
    metric: &'static Metric,
    series: BTreeMap<Labels, Slot>,
}

/// Where a series keeps its values.
#[derive(Clone, Copy)]
struct Slot {
    cells: &'static Cells,
    exemplars: &'static Exemplars,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The counter of this metric with these values of its labels, and `more` labels of its own.
    pub(crate) fn counter(
        &self,
        metric: &'static Metric,
        values: &[&str],
        more: &[(&'static str, &'static str)],
    ) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        let Slot { cells, exemplars } = self.slot(metric, values, more);
        Counter { cells, exemplars }
    }

    /// The gauge of this metric with these values of its labels.
    pub(crate) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        Gauge(self.slot(metric, values, &[]).cells)
    }

    /// The histogram of this metric with these values of its labels, and `more` labels of its own.
    pub(crate) fn durations(
        &self,
        metric: &'static Metric,
        values: &[&str],
        more: &[(&'static str, &'static str)],
    ) -> Durations {
        let Slot { cells, exemplars } = self.slot(metric, values, more);
        Durations { cells, exemplars, bounds: metric.kind.bounds() }
    }

    /// What all series hold now, by metric name and labels.
    pub(crate) fn families(&self) -> Vec<Family> {
        self.lock().values().map(Family::read).collect()
    }

    fn slot(&self, metric: &'static Metric, values: &[&str], more: &[(&'static str, &'static str)]) -> Slot {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let own = metric.labels.iter().zip(values).map(|(name, value)| (*name, Cow::Owned((*value).to_owned())));
        let more = more.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        let labels = own.chain(more).collect();
        let mut entries = self.lock();
        let entry = entries.entry(metric.name).or_insert_with(|| Entry { metric, series: BTreeMap::new() });
        *entry.series.entry(labels).or_insert_with(|| Slot::new(metric.kind))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Entry>> {
        // A panic while the map was locked leaves it whole: every change is one insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(kind: Kind) -> Self {
        let (words, exemplars) = match kind {
            Kind::Counter => (1, 1),
            Kind::Gauge => (1, 0),
            Kind::Durations(bounds) => (Durations::words(bounds), bounds.len() + 1),
        };
        Self { cells: Cells::leak(words), exemplars: Exemplars::leak(exemplars) }
    }
}

/// One metric and its series at one moment.
pub(crate) struct Family {
    pub(crate) metric: &'static Metric,
    pub(crate) series: Vec<Series>,
}

/// One series at one moment.
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) reading: Reading,
}

/// What a series holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    Counter(Count),
    Gauge(i64),
    Durations(Distribution),
}

/// What a counter holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Count {
    pub(crate) value: u64,
    pub(crate) exemplar: Option<Exemplar>,
}

/// What a histogram holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Distribution {
    /// Counts a bucket (not cumulated; the last one is above all bounds).
    pub(crate) buckets: Vec<u64>,
    /// In nanoseconds.
    pub(crate) sum: u64,
    /// At most one a bucket.
    pub(crate) exemplars: Vec<Exemplar>,
}

impl Family {
    fn read(entry: &Entry) -> Self {
        let read = |slot: &Slot| match entry.metric.kind {
            Kind::Counter => {
                Reading::Counter(Count { value: slot.cells.sum(0), exemplar: slot.exemplars.read().pop() })
            }
            Kind::Gauge => Reading::Gauge(slot.cells.sum(0).cast_signed()),
            Kind::Durations(bounds) => Reading::Durations(Distribution {
                buckets: (0..=bounds.len()).map(|bucket| slot.cells.sum(bucket)).collect(),
                sum: slot.cells.sum(bounds.len() + 1),
                exemplars: slot.exemplars.read(),
            }),
        };
        let series = entry.series.iter().map(|(labels, slot)| Series { labels: labels.clone(), reading: read(slot) });
        Self { metric: entry.metric, series: series.collect() }
    }
}
