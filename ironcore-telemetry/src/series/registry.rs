//! The registry: all series, by metric and labels.

use super::cells::{Cells, Counter, Durations, Gauge, VALUE};
use super::exemplar::{Exemplar, Exemplars};
use super::native::{Buckets, Native};
use super::{Kind, Metric};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The label names and values of a series, in the order of the page.
pub(crate) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// The series of this process.
static PROCESS: Registry = Registry::new();

/// The counter of this metric with these label values. The same values give the same counter; a new one is zero.
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

/// The current readings of all series of this process, by metric name and labels.
pub(crate) fn families() -> Vec<Family> {
    PROCESS.families()
}

/// As [`families`], with the buckets of native histograms, which are counted from the first call on.
#[cfg(feature = "prometheus")]
pub(crate) fn native_families() -> Vec<Family> {
    PROCESS.native_families()
}

/// Whether a scraper or the push has asked for native histograms. An observation that ends at the moment of the change may be counted
/// twice, or not at all, in the native form of its series; the classic form always counts it once. Changed under the lock of the registry of the process.
static NATIVE: AtomicBool = AtomicBool::new(false);

/// The registry of this process.
pub(crate) fn process() -> &'static Registry {
    &PROCESS
}

/// All series by metric name. There is one registry for the process, and one for each capture of a test.
pub(crate) struct Registry(Mutex<BTreeMap<&'static str, Entry>>);

struct Entry {
    metric: &'static Metric,
    series: BTreeMap<Labels, Storage>,
}

/// The memory of one series.
#[derive(Clone, Copy)]
struct Storage {
    cells: &'static Cells,
    exemplars: &'static Exemplars,
    created: SystemTime,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The counter of this metric with these label values; `extra` are names and values of further labels.
    pub(crate) fn counter(
        &self,
        metric: &'static Metric,
        values: &[&str],
        extra: &[(&'static str, &'static str)],
    ) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
        let Storage { cells, exemplars, .. } = self.storage(metric, values, extra);
        Counter { cells, exemplars }
    }

    /// The gauge of this metric with these label values.
    pub(crate) fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        Gauge(self.storage(metric, values, &[]).cells)
    }

    /// The histogram of this metric with these label values; `extra` are names and values of further labels.
    pub(crate) fn durations(
        &self,
        metric: &'static Metric,
        values: &[&str],
        extra: &[(&'static str, &'static str)],
    ) -> Durations {
        let Storage { cells, exemplars, .. } = self.storage(metric, values, extra);
        Durations { cells, exemplars, bounds: metric.kind.bounds() }
    }

    /// The current readings of all series, by metric name and labels.
    pub(crate) fn families(&self) -> Vec<Family> {
        self.lock().values().map(Family::read).collect()
    }

    /// The same with the buckets of native histograms, which are counted from the first call on.
    pub(crate) fn native_families(&self) -> Vec<Family> {
        let entries = self.lock();
        NATIVE.store(true, Ordering::Relaxed);
        for Entry { metric, series } in entries.values() {
            for storage in series.values() {
                storage.count_native(metric.kind);
            }
        }
        let native = |entry: &Entry| {
            let mut family = Family::read(entry);
            for (series, storage) in family.series.iter_mut().zip(entry.series.values()) {
                if let Reading::Durations(read) = &mut series.reading {
                    read.native = storage.cells.native.get().map(|native| native.read());
                }
            }
            family
        };
        entries.values().map(native).collect()
    }

    fn storage(&self, metric: &'static Metric, values: &[&str], extra: &[(&'static str, &'static str)]) -> Storage {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let own = metric.labels.iter().zip(values).map(|(name, value)| (*name, Cow::Owned((*value).to_owned())));
        let extra = extra.iter().map(|(name, value)| (*name, Cow::Borrowed(*value)));
        let labels = own.chain(extra).collect();
        let mut entries = self.lock();
        let entry = entries.entry(metric.name).or_insert_with(|| Entry { metric, series: BTreeMap::new() });
        *entry.series.entry(labels).or_insert_with(|| {
            let storage = Storage::new(metric.kind);
            if NATIVE.load(Ordering::Relaxed) {
                storage.count_native(metric.kind);
            }
            storage
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Entry>> {
        // A panic under the lock leaves the map consistent: every change is one insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage {
    fn new(kind: Kind) -> Self {
        let (words, exemplars) = match kind {
            Kind::Counter => (1, 1),
            Kind::Gauge => (1, 0),
            Kind::Durations(bounds) => (Durations::words(bounds), Durations::buckets(bounds)),
        };
        Self { cells: Cells::leak(words), exemplars: Exemplars::leak(exemplars), created: SystemTime::now() }
    }

    /// Makes the buckets of a native histogram, if it is one.
    fn count_native(&self, kind: Kind) {
        if let Kind::Durations(bounds) = kind {
            let counts = (0..Durations::buckets(bounds)).map(|bucket| self.cells.sum(bucket));
            let _ = self.cells.native.get_or_init(|| Box::new(Native::new(bounds, counts)));
        }
    }

    fn read(&self, kind: Kind) -> Reading {
        match kind {
            Kind::Counter => {
                Reading::Counter(Count { value: self.cells.sum(VALUE), exemplar: self.exemplars.read().pop() })
            }
            Kind::Gauge => Reading::Gauge(self.cells.sum(VALUE).cast_signed()),
            Kind::Durations(bounds) => Reading::Durations(Distribution {
                buckets: (0..Durations::buckets(bounds)).map(|bucket| self.cells.sum(bucket)).collect(),
                sum: self.cells.sum(Durations::sum_word(bounds)),
                exemplars: self.exemplars.read(),
                native: None,
            }),
        }
    }
}

/// A metric with the readings of all its series.
pub(crate) struct Family {
    pub(crate) metric: &'static Metric,
    pub(crate) series: Vec<Series>,
}

/// A series with its current reading.
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// When it was created: its value was zero then.
    pub(crate) created: SystemTime,
    pub(crate) reading: Reading,
}

/// The value of a series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    Counter(Count),
    Gauge(i64),
    Durations(Distribution),
}

/// The reading of a counter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Count {
    pub(crate) value: u64,
    pub(crate) exemplar: Option<Exemplar>,
}

/// The reading of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// The count of each bucket, not cumulative; the last bucket is above all bounds.
    pub(crate) buckets: Vec<u64>,
    /// In nanoseconds.
    pub(crate) sum: u64,
    /// At most one per bucket.
    pub(crate) exemplars: Vec<Exemplar>,
    /// Only where they were asked for.
    pub(crate) native: Option<Buckets>,
}

impl Family {
    fn read(entry: &Entry) -> Self {
        let series = entry.series.iter().map(|(labels, storage)| Series {
            labels: labels.clone(),
            created: storage.created,
            reading: storage.read(entry.metric.kind),
        });
        Self { metric: entry.metric, series: series.collect() }
    }
}
