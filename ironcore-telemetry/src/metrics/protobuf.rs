//! The page as the messages of `io.prometheus.client`, each behind its length: the format in which a scraper gets native
//! histograms. The classic buckets stand beside them.

use super::bridge;
use super::families::{Family, Series, Value};
use super::naming::Kind;
use crate::series::native::{Buckets, SCHEMA, ZERO_THRESHOLD};
use crate::series::{self, Count, Distribution, Reading, seconds};
use prost::Message;
use std::time::SystemTime;

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Gauge {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    family_type: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

const COUNTER: i32 = 0;
const GAUGE: i32 = 1;
const HISTOGRAM: i32 = 4;

/// The page as it stands now: our own series with native histograms, which are counted from the first call on, then the
/// instruments.
pub(super) fn page() -> Vec<u8> {
    bridge::refresh();
    let mut page = Vec::with_capacity(16 * 1024);
    for family in &series::native_families() {
        append(&mut page, &own(family));
    }
    bridge::encode(&mut page);
    page
}

/// Appends the attributes of the resource.
pub(super) fn append_target(page: &mut Vec<u8>, labels: impl Iterator<Item = (String, String)>) {
    let metric = Metric { label: pairs(labels), gauge: Some(Gauge { value: 1.0 }), ..Metric::default() };
    let help = "Target metadata".to_owned();
    let family = MetricFamily {
        name: "target_info".to_owned(),
        help,
        family_type: GAUGE,
        metric: vec![metric],
        unit: String::new(),
    };
    append(page, &family);
}

/// Appends a family of instruments.
pub(super) fn append_family(page: &mut Vec<u8>, base: &str, family: &Family) {
    append(page, &instruments(base, family));
}

fn append(page: &mut Vec<u8>, family: &MetricFamily) {
    // Fails only when a buffer is full, which memory is not.
    let _ = family.encode_length_delimited(page);
}

fn own(series::Family { metric, series }: &series::Family) -> MetricFamily {
    let family_type = match metric.kind {
        series::Kind::Counter => COUNTER,
        series::Kind::Gauge => GAUGE,
        series::Kind::Durations(_) => HISTOGRAM,
    };
    let metrics = series.iter().map(|series::Series { labels, created, reading }| {
        let label = pairs(labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_owned())));
        match reading {
            Reading::Counter(Count { value, exemplar }) => {
                let exemplar = exemplar.as_ref().map(|exemplar| own_exemplar(exemplar, float(exemplar.value)));
                let counter = Counter { value: float(*value), exemplar, created: Some(timestamp(*created)) };
                Metric { label, counter: Some(counter), ..Metric::default() }
            }
            Reading::Gauge(value) => {
                Metric { label, gauge: Some(Gauge { value: signed(*value) }), ..Metric::default() }
            }
            Reading::Durations(read) => {
                let histogram = durations(metric.kind.bounds(), read, *created);
                Metric { label, histogram: Some(histogram), ..Metric::default() }
            }
        }
    });
    MetricFamily {
        name: metric.name.to_owned(),
        help: metric.help.to_owned(),
        family_type,
        metric: metrics.collect(),
        unit: String::new(),
    }
}

fn durations(
    bounds: &[u64],
    Distribution { buckets, sum, exemplars, native }: &Distribution,
    created: SystemTime,
) -> Histogram {
    let counted = buckets.iter().fold(0_u64, |count, bucket| count.wrapping_add(*bucket));
    // The native buckets are read after the classic ones, which must not have more.
    let sample_count = native.as_ref().map_or(counted, Buckets::total);
    let bound_of = |value: u64| bounds.iter().copied().find(|bound| value <= *bound);
    let exemplar_of = |bound: Option<u64>| {
        let exemplar = exemplars.iter().find(|exemplar| bound_of(exemplar.value) == bound)?;
        Some(own_exemplar(exemplar, seconds(exemplar.value)))
    };
    let mut cumulative = 0_u64;
    let mut bucket: Vec<_> = bounds
        .iter()
        .zip(buckets)
        .map(|(bound, count)| {
            cumulative = cumulative.wrapping_add(*count);
            let cumulative_count = cumulative.min(sample_count);
            Bucket { cumulative_count, upper_bound: seconds(*bound), exemplar: exemplar_of(Some(*bound)) }
        })
        .collect();
    let above = Bucket { cumulative_count: sample_count, upper_bound: f64::INFINITY, exemplar: exemplar_of(None) };
    bucket.push(above);
    let mut histogram = Histogram {
        sample_count,
        sample_sum: seconds(*sum),
        bucket,
        created: Some(timestamp(created)),
        ..Histogram::default()
    };
    if let Some(native) = native {
        histogram.schema = SCHEMA;
        histogram.zero_threshold = ZERO_THRESHOLD;
        histogram.zero_count = native.zero();
        (histogram.positive_span, histogram.positive_delta) = spans(native.positive());
        histogram.exemplars =
            exemplars.iter().map(|exemplar| own_exemplar(exemplar, seconds(exemplar.value))).collect();
    }
    histogram
}

/// Runs of buckets, and the difference of each bucket to the one before.
fn spans(buckets: impl Iterator<Item = (i32, u64)>) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<BucketSpan>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut before) = (0, 0_i64);
    for (index, count) in buckets {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match spans.last_mut().filter(|_| index == next) {
            Some(span) => span.length += 1,
            None => spans.push(BucketSpan { offset: index - next, length: 1 }),
        }
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}

fn instruments(base: &str, Family { kind, help, unit, is_dated, series }: &Family) -> MetricFamily {
    let (suffix, family_type) = match kind {
        Kind::Counter => ("_total", COUNTER),
        Kind::UpDown | Kind::Gauge => ("", GAUGE),
        Kind::Histogram => ("", HISTOGRAM),
    };
    let metric = series.iter().map(|(labels, Series { value, created, .. })| {
        let label = pairs(labels.iter().cloned());
        let created = is_dated.then(|| timestamp(*created));
        match value {
            Value::Number(value) if *kind == Kind::Counter => {
                let counter = Counter { value: value.float(), exemplar: None, created };
                Metric { label, counter: Some(counter), ..Metric::default() }
            }
            Value::Number(value) => Metric { label, gauge: Some(Gauge { value: value.float() }), ..Metric::default() },
            Value::Histogram { bounds, counts, sum } => {
                let mut cumulative = 0_u64;
                let bounds = bounds.iter().copied().chain([f64::INFINITY]).zip(counts);
                let bucket = bounds.map(|(upper_bound, count)| {
                    cumulative = cumulative.wrapping_add(*count);
                    Bucket { cumulative_count: cumulative, upper_bound, exemplar: None }
                });
                let bucket = bucket.collect();
                let histogram = Histogram {
                    sample_count: cumulative,
                    sample_sum: sum.float(),
                    bucket,
                    created,
                    ..Histogram::default()
                };
                Metric { label, histogram: Some(histogram), ..Metric::default() }
            }
        }
    });
    MetricFamily {
        name: format!("{base}{suffix}"),
        help: help.clone(),
        family_type,
        metric: metric.collect(),
        unit: unit.clone().unwrap_or_default(),
    }
}

/// Labels without those that have no value, which means the same.
fn pairs(labels: impl Iterator<Item = (String, String)>) -> Vec<LabelPair> {
    labels.filter(|(_, value)| !value.is_empty()).map(|(name, value)| LabelPair { name, value }).collect()
}

fn own_exemplar(series::Exemplar { ids, at, .. }: &series::Exemplar, value: f64) -> Exemplar {
    let label = [("trace_id", format!("{:032x}", ids.trace)), ("span_id", format!("{:016x}", ids.span))];
    let label = pairs(label.into_iter().map(|(name, value)| (name.to_owned(), value)));
    Exemplar { label, value, timestamp: Some(timestamp(*at)) }
}

fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
const fn float(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus stores floats")]
const fn signed(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_buckets_are_spans_and_their_counts_differences() {
        let (spans, deltas) = spans([(-3, 2), (-2, 5), (4, 1), (8_193, 7)].into_iter());
        let spans: Vec<_> = spans.iter().map(|span| (span.offset, span.length)).collect();
        assert_eq!(spans, [(-3, 2), (5, 1), (8_188, 1)]);
        assert_eq!(deltas, [2, 3, -4, 6]);
    }
}
