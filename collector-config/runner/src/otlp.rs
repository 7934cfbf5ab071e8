//! OTLP as flat records of strings and numbers: what an exporter sends, and what Jaeger's API returns.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    self as metrics, AggregationTemporality, ResourceMetrics, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as trace, ResourceSpans};
use std::fmt::Write as _;

/// A span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// 32 lower-case hex digits.
    pub trace_id: String,
    /// 16 lower-case hex digits.
    pub span_id: String,
    /// The parent's id; `None` for a root.
    pub parent_span_id: Option<String>,
    /// The name.
    pub name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
    pub kind: &'static str,
    /// `unset`, `ok` or `error`.
    pub status: &'static str,
    /// The description of an error.
    pub status_message: String,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// The attributes as text.
    pub attributes: Vec<(String, String)>,
    /// The names of its events.
    pub events: Vec<String>,
    /// The trace and span ids of its links.
    pub links: Vec<(String, String)>,
    /// The instrumentation scope.
    pub scope: String,
    /// The schema URL of the scope.
    pub schema_url: String,
    /// The attributes of the resource as text.
    pub resource: Vec<(String, String)>,
}

impl Span {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        find(&self.attributes, key)
    }

    /// The `service.name` of its resource; empty if there is none.
    pub fn service(&self) -> &str {
        find(&self.resource, "service.name").unwrap_or_default()
    }

    /// Whether its status is an error.
    pub fn is_error(&self) -> bool {
        self.status == "error"
    }
}

/// A metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name, with dots.
    pub name: String,
    /// The unit.
    pub unit: String,
    /// `gauge`, `sum`, `histogram`, `exponential_histogram`, `summary` or `empty`.
    pub kind: &'static str,
    /// `cumulative`, `delta` or `unspecified`; `None` for what has none, as a gauge.
    pub temporality: Option<&'static str>,
    /// One point for each attribute set.
    pub points: Vec<Point>,
    /// The instrumentation scope.
    pub scope: String,
    /// The schema URL of the scope.
    pub schema_url: String,
    /// The attributes of the resource as text.
    pub resource: Vec<(String, String)>,
}

/// One point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The attributes as text.
    pub attributes: Vec<(String, String)>,
    /// The number; for a histogram or summary, the sum of the measurements.
    pub value: f64,
    /// For a histogram or summary: the number of measurements.
    pub count: Option<u64>,
    /// Nanoseconds since the Unix epoch; 0 if it is not given.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// The trace ids of its exemplars.
    pub exemplars: Vec<String>,
}

impl Point {
    /// The value of an attribute.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        find(&self.attributes, key)
    }
}

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// 32 lower-case hex digits; `None` outside of a trace.
    pub trace_id: Option<String>,
    /// 16 lower-case hex digits; `None` outside of a span.
    pub span_id: Option<String>,
    /// Such as `WARN`.
    pub severity: String,
    /// The message as text.
    pub body: String,
    /// The attributes as text.
    pub attributes: Vec<(String, String)>,
    /// The instrumentation scope.
    pub scope: String,
    /// The attributes of the resource as text.
    pub resource: Vec<(String, String)>,
}

pub(crate) fn spans(resource_spans: Vec<ResourceSpans>) -> impl Iterator<Item = Span> {
    resource_spans.into_iter().flat_map(|of_resource| {
        let resource = resource(of_resource.resource);
        of_resource.scope_spans.into_iter().flat_map(move |of_scope| {
            let resource = resource.clone();
            let scope = (scope(of_scope.scope), of_scope.schema_url);
            of_scope.spans.into_iter().map(move |one| span(one, &scope, &resource))
        })
    })
}

pub(crate) fn metrics(resource_metrics: Vec<ResourceMetrics>) -> impl Iterator<Item = Metric> {
    resource_metrics.into_iter().flat_map(|of_resource| {
        let resource = resource(of_resource.resource);
        of_resource.scope_metrics.into_iter().flat_map(move |of_scope| {
            let resource = resource.clone();
            let scope = (scope(of_scope.scope), of_scope.schema_url);
            of_scope.metrics.into_iter().map(move |one| metric(one, &scope, &resource))
        })
    })
}

pub(crate) fn logs(resource_logs: Vec<ResourceLogs>) -> impl Iterator<Item = LogRecord> {
    resource_logs.into_iter().flat_map(|of_resource| {
        let resource = resource(of_resource.resource);
        of_resource.scope_logs.into_iter().flat_map(move |of_scope| {
            let (resource, scope) = (resource.clone(), scope(of_scope.scope));
            of_scope.log_records.into_iter().map(move |record| LogRecord {
                trace_id: id(&record.trace_id),
                span_id: id(&record.span_id),
                severity: record.severity_text,
                body: text(record.body),
                attributes: pairs(record.attributes),
                scope: scope.clone(),
                resource: resource.clone(),
            })
        })
    })
}

fn span(span: trace::Span, (scope, schema_url): &(String, String), resource: &[(String, String)]) -> Span {
    let kind = match span.kind() {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    };
    let status = span.status.unwrap_or_default();
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: id(&span.parent_span_id),
        name: span.name,
        kind,
        status: match status.code() {
            StatusCode::Unset => "unset",
            StatusCode::Ok => "ok",
            StatusCode::Error => "error",
        },
        status_message: status.message,
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: pairs(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        scope: scope.clone(),
        schema_url: schema_url.clone(),
        resource: resource.into(),
    }
}

fn metric(metric: metrics::Metric, (scope, schema_url): &(String, String), resource: &[(String, String)]) -> Metric {
    let (kind, temporality, points) = match metric.data {
        None => ("empty", None, Vec::new()),
        Some(Data::Gauge(gauge)) => ("gauge", None, gauge.data_points.into_iter().map(number).collect()),
        Some(Data::Sum(sum)) => {
            let temporality = temporality(sum.aggregation_temporality());
            ("sum", Some(temporality), sum.data_points.into_iter().map(number).collect())
        }
        Some(Data::Histogram(histogram)) => {
            let temporality = temporality(histogram.aggregation_temporality());
            let point = |point: metrics::HistogramDataPoint| Point {
                attributes: pairs(point.attributes),
                value: point.sum.unwrap_or_default(),
                count: Some(point.count),
                start_ns: point.start_time_unix_nano,
                time_ns: point.time_unix_nano,
                exemplars: trace_ids(&point.exemplars),
            };
            ("histogram", Some(temporality), histogram.data_points.into_iter().map(point).collect())
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let temporality = temporality(histogram.aggregation_temporality());
            let point = |point: metrics::ExponentialHistogramDataPoint| Point {
                attributes: pairs(point.attributes),
                value: point.sum.unwrap_or_default(),
                count: Some(point.count),
                start_ns: point.start_time_unix_nano,
                time_ns: point.time_unix_nano,
                exemplars: trace_ids(&point.exemplars),
            };
            ("exponential_histogram", Some(temporality), histogram.data_points.into_iter().map(point).collect())
        }
        Some(Data::Summary(summary)) => {
            let point = |point: metrics::SummaryDataPoint| Point {
                attributes: pairs(point.attributes),
                value: point.sum,
                count: Some(point.count),
                start_ns: point.start_time_unix_nano,
                time_ns: point.time_unix_nano,
                exemplars: Vec::new(),
            };
            ("summary", None, summary.data_points.into_iter().map(point).collect())
        }
    };
    let (scope, schema_url, resource) = (scope.clone(), schema_url.clone(), resource.into());
    Metric { name: metric.name, unit: metric.unit, kind, temporality, points, scope, schema_url, resource }
}

const fn temporality(temporality: AggregationTemporality) -> &'static str {
    match temporality {
        AggregationTemporality::Unspecified => "unspecified",
        AggregationTemporality::Delta => "delta",
        AggregationTemporality::Cumulative => "cumulative",
    }
}

#[expect(clippy::cast_precision_loss, reason = "tests compare small counts; exact integers are tested with Prometheus")]
fn number(point: metrics::NumberDataPoint) -> Point {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    Point {
        attributes: pairs(point.attributes),
        value,
        count: None,
        start_ns: point.start_time_unix_nano,
        time_ns: point.time_unix_nano,
        exemplars: trace_ids(&point.exemplars),
    }
}

fn trace_ids(exemplars: &[metrics::Exemplar]) -> Vec<String> {
    exemplars.iter().map(|exemplar| hex(&exemplar.trace_id)).collect()
}

fn resource(resource: Option<Resource>) -> Vec<(String, String)> {
    pairs(resource.unwrap_or_default().attributes)
}

fn scope(scope: Option<InstrumentationScope>) -> String {
    scope.unwrap_or_default().name
}

fn pairs(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn find<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// Strings are unchanged; lists and maps look like JSON without quotes.
fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        // The index refers to a table that only profiles have; the specification requires to treat it as absent.
        None | Some(Value::StringValueStrindex(_)) => String::new(),
        Some(Value::StringValue(value)) => value,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        Some(Value::BytesValue(value)) => hex(&value),
        Some(Value::ArrayValue(list)) => {
            let values: Vec<String> = list.values.into_iter().map(|value| text(Some(value))).collect();
            format!("[{}]", values.join(","))
        }
        Some(Value::KvlistValue(map)) => {
            let values: Vec<String> =
                pairs(map.values).into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
            format!("{{{}}}", values.join(","))
        }
    }
}

/// An id; `None` if it is absent, which OTLP encodes as empty or all zero.
fn id(bytes: &[u8]) -> Option<String> {
    bytes.iter().any(|byte| *byte != 0).then(|| hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
