//! Our own series as metrics of OTLP.

use super::buckets;
use crate::config::{Histograms, Temporality};
use crate::export::values;
use crate::names;
use crate::series::native::{Buckets, SCHEMA, ZERO_THRESHOLD};
use crate::series::{Count, Distribution, Exemplar, Family, Kind, Labels, Reading, Registry, Series, seconds};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ProtoExemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use std::collections::HashMap;
use std::time::SystemTime;

/// Reads our own series for the push.
pub(super) struct Own {
    registry: &'static Registry,
    histograms: Histograms,
    /// Where counters and histograms are pushed as deltas: what those of the next collection begin with.
    last: Option<HashMap<(&'static str, Labels), Last>>,
}

struct Last {
    reading: Reading,
    at: SystemTime,
}

impl Own {
    pub(super) fn new(registry: &'static Registry, temporality: Temporality, histograms: Histograms) -> Self {
        if histograms == Histograms::Exponential {
            // Counts them from here on, so that nothing is only known by its bucket with bounds.
            let _ = registry.native_families();
        }
        // Our counters and histograms are recorded where the event is, so `LowMemory` is the same as `Delta`.
        let is_delta = matches!(temporality, Temporality::Delta | Temporality::LowMemory);
        Self { registry, histograms, last: is_delta.then(HashMap::new) }
    }

    /// The series as they stand now. Of deltas those that have changed since the last call.
    pub(super) fn read(&mut self) -> ScopeMetrics {
        let families = match self.histograms {
            Histograms::Explicit => self.registry.families(),
            Histograms::Exponential => self.registry.native_families(),
        };
        let now = SystemTime::now();
        let scope = InstrumentationScope { name: names::SCOPE.to_owned(), ..InstrumentationScope::default() };
        let metrics = families.into_iter().map(|family| self.metric(family, now)).collect();
        ScopeMetrics { scope: Some(scope), metrics, schema_url: names::SCHEMA_URL.to_owned() }
    }

    fn metric(&mut self, Family { metric, series }: Family, now: SystemTime) -> Metric {
        let temporality = match self.last {
            Some(_) => AggregationTemporality::Delta,
            None => AggregationTemporality::Cumulative,
        };
        let aggregation_temporality = temporality.into();
        let series: Vec<_> =
            series.into_iter().filter_map(|series| self.change(metric.name, metric.kind, series, now)).collect();
        let numbers = || series.iter().filter_map(|series| number_point(series, now)).collect();
        let (unit, data) = match metric.kind {
            Kind::Counter => {
                let sum = Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true };
                ("", metric::Data::Sum(sum))
            }
            Kind::Gauge => ("", metric::Data::Gauge(Gauge { data_points: numbers() })),
            Kind::Durations(_) if self.histograms == Histograms::Exponential => {
                let points = series.iter().filter_map(|series| exponential_point(series, now));
                let data_points = points.collect();
                let histogram = ExponentialHistogram { data_points, aggregation_temporality };
                ("s", metric::Data::ExponentialHistogram(histogram))
            }
            Kind::Durations(bounds) => {
                let data_points = series.iter().filter_map(|series| histogram_point(bounds, series, now)).collect();
                ("s", metric::Data::Histogram(Histogram { data_points, aggregation_temporality }))
            }
        };
        Metric {
            name: otlp_name(metric.name).to_owned(),
            description: metric.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    /// The series as it is pushed: `created` is where its point begins. `None` for a delta in which nothing was counted.
    fn change(&mut self, name: &'static str, kind: Kind, series: Series, now: SystemTime) -> Option<Series> {
        let Some(last) = self.last.as_mut().filter(|_| kind != Kind::Gauge) else {
            return Some(series);
        };
        let Series { labels, created, reading } = series;
        let last = last.entry((name, labels.clone())).or_insert_with(|| Last { reading: zero(&reading), at: created });
        let created = std::mem::replace(&mut last.at, now);
        let change = since(&reading, &last.reading, created)?;
        // Not before: the sum of a duration may be read before its bucket is.
        last.reading = reading;
        Some(Series { labels, created, reading: change })
    }
}

/// The reading of a new series.
fn zero(like: &Reading) -> Reading {
    match like {
        Reading::Counter(_) => Reading::Counter(Count { value: 0, exemplar: None }),
        Reading::Gauge(_) => Reading::Gauge(0),
        Reading::Durations(read) => Reading::Durations(Distribution {
            buckets: vec![0; read.buckets.len()],
            sum: 0,
            exemplars: Vec::new(),
            native: read.native.as_ref().map(|native| native.since(native)),
        }),
    }
}

/// What was counted since an earlier reading at `then`, with the exemplars of that time; `None` when nothing was.
fn since(now: &Reading, before: &Reading, then: SystemTime) -> Option<Reading> {
    let is_new = |exemplar: &Exemplar| exemplar.at >= then;
    match (now, before) {
        (Reading::Counter(now), Reading::Counter(before)) => {
            let value = now.value.wrapping_sub(before.value);
            let exemplar = now.exemplar.filter(is_new);
            (value > 0).then_some(Reading::Counter(Count { value, exemplar }))
        }
        (Reading::Durations(now), Reading::Durations(before)) => {
            let buckets = now.buckets.iter().zip(&before.buckets);
            let buckets: Vec<_> = buckets.map(|(now, before)| now.wrapping_sub(*before)).collect();
            let native = now.native.as_ref().zip(before.native.as_ref()).map(|(now, before)| now.since(before));
            let count = native.as_ref().map_or_else(|| buckets.iter().sum(), Buckets::total);
            let exemplars = now.exemplars.iter().filter(|exemplar| is_new(exemplar)).copied().collect();
            let sum = now.sum.wrapping_sub(before.sum);
            (count > 0).then_some(Reading::Durations(Distribution { buckets, sum, exemplars, native }))
        }
        _ => Some(now.clone()),
    }
}

fn number_point(series: &Series, now: SystemTime) -> Option<NumberDataPoint> {
    let (value, exemplars) = match &series.reading {
        Reading::Counter(Count { value, exemplar }) => {
            let as_int = |exemplar: &Exemplar| exemplar::Value::AsInt(integer(exemplar.value));
            let exemplars = exemplar.iter().map(|exemplar| proto_exemplar(exemplar, as_int(exemplar)));
            (integer(*value), exemplars.collect())
        }
        Reading::Gauge(value) => (*value, Vec::new()),
        Reading::Durations(_) => return None,
    };
    let (start_time_unix_nano, time_unix_nano) = times(series, now);
    Some(NumberDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano,
        time_unix_nano,
        value: Some(number_data_point::Value::AsInt(value)),
        exemplars,
        ..NumberDataPoint::default()
    })
}

fn histogram_point(bounds: &[u64], series: &Series, now: SystemTime) -> Option<HistogramDataPoint> {
    let Reading::Durations(Distribution { buckets, sum, exemplars, .. }) = &series.reading else {
        return None;
    };
    let (start_time_unix_nano, time_unix_nano) = times(series, now);
    Some(HistogramDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano,
        time_unix_nano,
        count: buckets.iter().sum(),
        sum: Some(seconds(*sum)),
        bucket_counts: buckets.clone(),
        explicit_bounds: bounds.iter().map(|bound| seconds(*bound)).collect(),
        exemplars: of_durations(exemplars),
        ..HistogramDataPoint::default()
    })
}

fn exponential_point(series: &Series, now: SystemTime) -> Option<ExponentialHistogramDataPoint> {
    let Reading::Durations(Distribution { sum, exemplars, native: Some(native), .. }) = &series.reading else {
        return None;
    };
    let (start_time_unix_nano, time_unix_nano) = times(series, now);
    Some(ExponentialHistogramDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano,
        time_unix_nano,
        count: native.total(),
        sum: Some(seconds(*sum)),
        scale: SCHEMA,
        zero_count: native.zero(),
        zero_threshold: ZERO_THRESHOLD,
        positive: Some(buckets::dense(native.exponential())),
        exemplars: of_durations(exemplars),
        ..ExponentialHistogramDataPoint::default()
    })
}

fn of_durations(exemplars: &[Exemplar]) -> Vec<ProtoExemplar> {
    let value = |exemplar: &Exemplar| exemplar::Value::AsDouble(seconds(exemplar.value));
    exemplars.iter().map(|exemplar| proto_exemplar(exemplar, value(exemplar))).collect()
}

fn proto_exemplar(Exemplar { ids, at, .. }: &Exemplar, value: exemplar::Value) -> ProtoExemplar {
    ProtoExemplar {
        time_unix_nano: values::unix_nanos(*at),
        span_id: ids.span.to_be_bytes().to_vec(),
        trace_id: ids.trace.to_be_bytes().to_vec(),
        value: Some(value),
        ..ProtoExemplar::default()
    }
}

/// When the point of a series begins and ends. A clock that was set back must not end it before it begins.
fn times(series: &Series, now: SystemTime) -> (u64, u64) {
    let start = values::unix_nanos(series.created);
    (start, values::unix_nanos(now).max(start))
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The name without the suffixes that a Prometheus receiver derives from unit and kind, so that scrape and push lead to
/// the same name.
fn otlp_name(name: &str) -> &str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    name.strip_suffix("_seconds").unwrap_or(name)
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    let pairs = labels.iter().filter(|(_, value)| !value.is_empty());
    pairs
        .map(|(name, value)| KeyValue {
            key: (*name).to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.clone().into_owned())) }),
            ..KeyValue::default()
        })
        .collect()
}
