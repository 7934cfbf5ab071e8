//! The series against a plain model: the readings are the sums of all updates, in any order and on any threads.

use super::{Count, Distribution, Kind, Metric, Reading, Registry};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

static COUNTER: Metric =
    Metric { name: "model_total", help: "Counts.", kind: Kind::Counter, labels: &["label"], bounded: &[] };
static GAUGE: Metric =
    Metric { name: "model_level", help: "Level.", kind: Kind::Gauge, labels: &["label"], bounded: &[] };
const BOUNDS: &[u64] = &[10, 1_000, 1_000_000_000];
static DURATIONS: Metric =
    Metric { name: "model_seconds", help: "Lasts.", kind: Kind::Durations(BOUNDS), labels: &["label"], bounded: &[] };

/// One update of a series.
#[derive(Clone, Debug)]
enum Update {
    Counter(u64),
    Gauge(i64),
    Duration(u64),
}

fn updates() -> impl Strategy<Value = Vec<(String, Update)>> {
    let value = prop_oneof![Just(0_u64), Just(10), Just(11), Just(u64::MAX), any::<u64>()];
    let update = prop_oneof![
        value.clone().prop_map(Update::Counter),
        any::<i32>().prop_map(|value| Update::Gauge(value.into())),
        value.prop_map(Update::Duration),
    ];
    // Label values that try to end their quotes or their line.
    let label = prop_oneof![Just("a"), Just("b\"} 7\n# TYPE x counter\n"), Just("\\"), Just("é"), Just("")];
    prop::collection::vec((label.prop_map(str::to_owned), update), 0..60)
}

fn apply(registry: &Registry, label: &str, update: &Update) {
    match *update {
        Update::Counter(amount) => registry.counter(&COUNTER, &[label], &[]).add(amount),
        Update::Gauge(amount) => registry.gauge(&GAUGE, &[label]).add(amount),
        Update::Duration(nanos) => {
            let lasts = registry.durations(&DURATIONS, &[label], &[]);
            lasts.observe(Duration::from_nanos(nanos));
        }
    }
}

/// The reading that each series should have.
fn expected(updates: &[(String, Update)]) -> BTreeMap<(&'static str, String), Reading> {
    let mut model = BTreeMap::new();
    for (label, update) in updates {
        let key = |name| (name, label.clone());
        match *update {
            Update::Counter(amount) => {
                let none = Count { value: 0, exemplar: None };
                let Reading::Counter(count) = model.entry(key(COUNTER.name)).or_insert(Reading::Counter(none)) else {
                    continue;
                };
                count.value = count.value.wrapping_add(amount);
            }
            Update::Gauge(amount) => {
                let Reading::Gauge(sum) = model.entry(key(GAUGE.name)).or_insert(Reading::Gauge(0)) else {
                    continue;
                };
                *sum = sum.wrapping_add(amount);
            }
            Update::Duration(nanos) => {
                let empty =
                    || Distribution { buckets: vec![0; BOUNDS.len() + 1], sum: 0, exemplars: Vec::new(), native: None };
                let entry = model.entry(key(DURATIONS.name)).or_insert_with(|| Reading::Durations(empty()));
                let Reading::Durations(read) = entry else {
                    continue;
                };
                // Longer durations count as 292 years.
                let nanos = nanos.min(1 << 63);
                read.sum = read.sum.wrapping_add(nanos);
                read.buckets[BOUNDS.iter().position(|bound| nanos <= *bound).unwrap_or(BOUNDS.len())] += 1;
            }
        }
    }
    model
}

fn read(registry: &Registry) -> BTreeMap<(&'static str, String), Reading> {
    let families = registry.families();
    let series = families.into_iter().flat_map(|family| {
        family
            .series
            .into_iter()
            .map(move |series| ((family.metric.name, series.labels[0].1.to_string()), series.reading))
    });
    series.collect()
}

/// Whether each line is a comment or a sample in text format 0.0.4.
fn is_valid(page: &str) -> bool {
    let valid = |line: &str| {
        let Some((series, value)) = line.rsplit_once(' ') else {
            return false;
        };
        let name_ends = series.find('{').unwrap_or(series.len());
        let (name, labels) = series.split_at(name_ends);
        let named = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let closed = labels.is_empty() || (labels.starts_with('{') && labels.ends_with("\"}"));
        let quotes = labels.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        named && closed && quotes.is_multiple_of(2) && value.parse::<f64>().is_ok_and(f64::is_finite)
    };
    page.lines().all(|line| line.starts_with("# HELP ") || line.starts_with("# TYPE ") || valid(line))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readings_are_the_sums_of_the_updates_of_all_threads(updates in updates()) {
        let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
        std::thread::scope(|scope| {
            for part in updates.chunks(updates.len().div_ceil(4).max(1)) {
                scope.spawn(move || part.iter().for_each(|(label, update)| apply(registry, label, update)));
            }
        });
        prop_assert_eq!(read(registry), expected(&updates));
        let mut page = String::new();
        super::text::render_families(&mut page, &registry.families(), super::Format::Text);
        prop_assert!(is_valid(&page), "{}", page);
    }
}
