//! The points of all metrics as one list: what is sent, kept and acknowledged one by one.

use super::buckets;
use crate::export::wire;
use crate::names;
use crate::redact::VALUE_LIMIT;
use crate::scrub::{self, Class};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics,
};
use prost::Message;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One point with its metric.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) head: Arc<Head>,
    pub(super) point: Point,
}

/// What stands once in a request for all points of a metric.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Head {
    /// The scope and its schema URL, encoded as fields of `ScopeMetrics`.
    pub(super) scope: Arc<[u8]>,
    /// The name, the description and the unit, encoded as fields of `Metric`.
    pub(super) fields: Vec<u8>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Gauge,
    /// Each with its temporality.
    Sum(i32, /* is monotonic */ bool),
    Histogram(i32),
    Exponential(i32),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

/// The identity of a series. Those of one metric follow each other, and so do the metrics of one scope; ours come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    scope: u64,
    metric: u64,
    series: u64,
}

/// Room for the tags and lengths of a point, and of the messages around the points of a metric.
const POINT_FRAME: usize = 6;
const HEAD_FRAME: usize = 48;

impl Id {
    /// The hash of all of it.
    pub(super) fn whole(self) -> u64 {
        hash(&self)
    }
}

impl Sample {
    pub(super) fn id(&self) -> Id {
        let Head { scope, .. } = &*self.head;
        let is_ours = scope.windows(names::SCOPE.len()).any(|part| part == names::SCOPE.as_bytes());
        Id { scope: if is_ours { 0 } else { hash(scope) }, metric: hash(&self.head), series: self.point.series() }
    }

    /// The most bytes that it takes in a request, also as the first of its metric.
    pub(super) fn len(&self) -> usize {
        self.point.encoded_len() + POINT_FRAME
    }

    pub(super) fn is_delta(&self) -> bool {
        self.head.kind.temporality() == Some(AggregationTemporality::Delta.into())
    }

    /// When it begins, where it counts from the birth of its series.
    pub(super) fn birth(&mut self) -> Option<&mut u64> {
        let cumulative = self.head.kind.temporality() == Some(AggregationTemporality::Cumulative.into());
        cumulative.then(|| self.point.times().0)
    }

    /// Masks the secrets in its attributes, and cuts them at the limit of values.
    pub(super) fn scrub(&mut self) {
        for KeyValue { key, value, .. } in self.point.attributes() {
            let Some(any_value::Value::StringValue(text)) = value.as_mut().and_then(|value| value.value.as_mut())
            else {
                continue;
            };
            let shown = scrub::label(Class::of(key), text, VALUE_LIMIT);
            let shown = (*shown != **text).then(|| shown.into_owned());
            if let Some(shown) = shown {
                *text = shown;
            }
        }
    }

    /// When it ends.
    pub(super) fn time(&mut self) -> u64 {
        *self.point.times().1
    }
}

impl Head {
    /// The most bytes that it takes in a request.
    pub(super) fn len(&self) -> usize {
        self.scope.len() + self.fields.len() + HEAD_FRAME
    }
}

impl Kind {
    const fn temporality(self) -> Option<i32> {
        match self {
            Self::Gauge => None,
            Self::Sum(temporality, _) | Self::Histogram(temporality) | Self::Exponential(temporality) => {
                Some(temporality)
            }
        }
    }
}

impl Point {
    /// The hash of what tells it from other series of its metric.
    fn series(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let attributes = match self {
            Self::Number(point) => {
                // The SDK has two instruments of a name when their types differ.
                matches!(point.value, Some(Value::AsInt(_))).hash(&mut hasher);
                &point.attributes
            }
            Self::Histogram(point) => {
                point.explicit_bounds.iter().for_each(|bound| bound.to_bits().hash(&mut hasher));
                &point.attributes
            }
            Self::Exponential(point) => &point.attributes,
        };
        let mut attributes: Vec<_> = attributes.iter().map(Message::encode_to_vec).collect();
        // The SDK gives them in any order.
        attributes.sort_unstable();
        attributes.hash(&mut hasher);
        hasher.finish()
    }

    const fn attributes(&mut self) -> &mut Vec<KeyValue> {
        match self {
            Self::Number(point) => &mut point.attributes,
            Self::Histogram(point) => &mut point.attributes,
            Self::Exponential(point) => &mut point.attributes,
        }
    }

    /// When it begins and ends.
    const fn times(&mut self) -> (&mut u64, &mut u64) {
        match self {
            Self::Number(point) => (&mut point.start_time_unix_nano, &mut point.time_unix_nano),
            Self::Histogram(point) => (&mut point.start_time_unix_nano, &mut point.time_unix_nano),
            Self::Exponential(point) => (&mut point.start_time_unix_nano, &mut point.time_unix_nano),
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Histogram(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        // Fails only when a buffer is full, which memory is not.
        let _ = match self {
            Self::Number(point) => point.encode(to),
            Self::Histogram(point) => point.encode(to),
            Self::Exponential(point) => point.encode(to),
        };
    }

    /// Makes it cover an older one of its series too: a delta that nobody has acknowledged, or one whose attributes have
    /// become the same when they were scrubbed.
    pub(super) fn add(&mut self, mut older: Self) {
        let start = (*older.times().0).min(*self.times().0);
        *self.times().0 = start;
        match (self, older) {
            (Self::Number(point), Self::Number(older)) => {
                point.value = match (point.value, older.value) {
                    (Some(Value::AsInt(value)), Some(Value::AsInt(older))) => {
                        Some(Value::AsInt(value.saturating_add(older)))
                    }
                    (Some(Value::AsDouble(value)), Some(Value::AsDouble(older))) => {
                        Some(Value::AsDouble(value + older))
                    }
                    (value, older) => value.or(older),
                };
                newest(&mut point.exemplars, older.exemplars);
            }
            (Self::Histogram(point), Self::Histogram(older)) => {
                point.count = point.count.wrapping_add(older.count);
                point
                    .bucket_counts
                    .iter_mut()
                    .zip(&older.bucket_counts)
                    .for_each(|(count, older)| *count = count.wrapping_add(*older));
                (point.sum, point.min, point.max) =
                    extremes((point.sum, point.min, point.max), (older.sum, older.min, older.max));
                newest(&mut point.exemplars, older.exemplars);
            }
            (Self::Exponential(point), Self::Exponential(older)) => {
                buckets::add(point, &older);
                (point.sum, point.min, point.max) =
                    extremes((point.sum, point.min, point.max), (older.sum, older.min, older.max));
                newest(&mut point.exemplars, older.exemplars);
            }
            // The kind is part of the identity of a series.
            _ => {}
        }
    }
}

type Extremes = (Option<f64>, Option<f64>, Option<f64>);

/// Sum, minimum and maximum of two parts, as far as both have them.
fn extremes((sum, min, max): Extremes, (older_sum, older_min, older_max): Extremes) -> Extremes {
    let both = |one: Option<f64>, other: Option<f64>, join: fn(f64, f64) -> f64| Some(join(one?, other?));
    (both(sum, older_sum, |sum, older| sum + older), both(min, older_min, f64::min), both(max, older_max, f64::max))
}

fn newest<T>(exemplars: &mut Vec<T>, older: Vec<T>) {
    if exemplars.is_empty() {
        *exemplars = older;
    }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The points of the metrics of scopes.
pub(super) fn samples(scopes: Vec<ScopeMetrics>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for ScopeMetrics { scope, metrics, schema_url } in scopes {
        // The head of the scope is the message without its metrics.
        let scope: Arc<[u8]> = ScopeMetrics { scope, metrics: Vec::new(), schema_url }.encode_to_vec().into();
        for metric in metrics {
            add_samples(&mut samples, &scope, metric);
        }
    }
    samples
}

fn add_samples(samples: &mut Vec<Sample>, scope: &Arc<[u8]>, metric: Metric) {
    let Metric { name, description, unit, data: Some(data), .. } = metric else {
        return;
    };
    let fields = Metric { name, description, unit, ..Metric::default() }.encode_to_vec();
    let head = |kind| Arc::new(Head { scope: Arc::clone(scope), fields, kind });
    let (head, points): (_, Vec<_>) = match data {
        Data::Gauge(gauge) => (head(Kind::Gauge), gauge.data_points.into_iter().map(Point::Number).collect()),
        Data::Sum(sum) => {
            let kind = Kind::Sum(sum.aggregation_temporality, sum.is_monotonic);
            (head(kind), sum.data_points.into_iter().map(Point::Number).collect())
        }
        Data::Histogram(histogram) => {
            let kind = Kind::Histogram(histogram.aggregation_temporality);
            (head(kind), histogram.data_points.into_iter().map(Point::Histogram).collect())
        }
        Data::ExponentialHistogram(histogram) => {
            let kind = Kind::Exponential(histogram.aggregation_temporality);
            (head(kind), histogram.data_points.into_iter().map(Point::Exponential).collect())
        }
        // No instrument becomes one.
        Data::Summary(_) => return,
    };
    samples.extend(points.into_iter().map(|point| Sample { head: Arc::clone(&head), point }));
}

/// The message of a request: the fields of the resource, then these samples in the order of their ids.
pub(super) fn request<'a>(resource: &[u8], samples: impl Iterator<Item = &'a Sample>) -> Vec<u8> {
    const RESOURCES: u32 = 1;
    const SCOPES: u32 = 2;
    const METRICS: u32 = 2;
    let samples: Vec<_> = samples.collect();
    let mut request = Vec::new();
    wire::message(&mut request, RESOURCES, |to| {
        to.extend_from_slice(resource);
        for of_scope in samples.chunk_by(|one, next| one.head.scope == next.head.scope) {
            wire::message(to, SCOPES, |to| {
                to.extend_from_slice(of_scope.first().map_or(&[], |sample| &sample.head.scope));
                for of_metric in of_scope.chunk_by(|one, next| one.head == next.head) {
                    wire::message(to, METRICS, |to| metric(to, of_metric));
                }
            });
        }
    });
    request
}

fn metric(to: &mut Vec<u8>, samples: &[&Sample]) {
    const POINTS: u32 = 1;
    const TEMPORALITY: u32 = 2;
    const IS_MONOTONIC: u32 = 3;
    let Some(Sample { head, .. }) = samples.first() else {
        return;
    };
    to.extend_from_slice(&head.fields);
    let (field, is_monotonic) = match head.kind {
        Kind::Gauge => (5, false),
        Kind::Sum(_, is_monotonic) => (7, is_monotonic),
        Kind::Histogram(_) => (9, false),
        Kind::Exponential(_) => (10, false),
    };
    wire::message(to, field, |to| {
        for Sample { point, .. } in samples {
            wire::delimited(to, POINTS, point.encoded_len());
            point.encode(to);
        }
        wire::uint(to, TEMPORALITY, head.kind.temporality().and_then(|kind| kind.try_into().ok()).unwrap_or(0));
        wire::uint(to, IS_MONOTONIC, is_monotonic.into());
    });
}
