//! Counts label values that were outside their set: `telemetry_label_overflow_total`.

use crate::names;
use crate::series::{self, Counter, Metric, Registry};
use std::sync::OnceLock;

/// The counters of the process, one for each bounded label: a caller that invents values never meets a lock.
static COUNTERS: OnceLock<Vec<(&'static Metric, &'static str, Counter)>> = OnceLock::new();

/// Makes the counters of all bounded labels, at zero.
pub(super) fn install(registry: &'static Registry) {
    COUNTERS.get_or_init(|| {
        let labels = names::ALL.iter().flat_map(|metric| metric.bounded.iter().map(move |label| (*metric, *label)));
        labels.map(|(metric, label)| (metric, label, counter(registry, metric, label))).collect()
    });
}

/// Counts an event whose value of a bounded label was outside the label's set, so that it was counted as `_OTHER`.
#[cold]
pub(crate) fn count(registry: &'static Registry, metric: &'static Metric, label: &'static str) {
    debug_assert!(metric.bounded.contains(&label), "{label} is not a bounded label of {}", metric.name);
    let known = || {
        let mut counters = COUNTERS.get()?.iter();
        counters.find(|(of, name, _)| std::ptr::eq(*of, metric) && *name == label).map(|(.., counter)| *counter)
    };
    let is_process = std::ptr::eq(registry, series::process());
    let counter = is_process.then(known).flatten();
    counter.unwrap_or_else(|| self::counter(registry, metric, label)).add(1);
}

fn counter(registry: &Registry, metric: &'static Metric, label: &'static str) -> Counter {
    registry.counter(&names::TELEMETRY_LABEL_OVERFLOW, &[metric.name, label], &[])
}
