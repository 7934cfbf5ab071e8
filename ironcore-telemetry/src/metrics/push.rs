//! The push of metrics over OTLP: the SDK's instruments and our own series in one message.

use super::reader::Reader;
use crate::config::{Otlp, Signal};
use crate::error::InitError;
use crate::export::{Answer, Client};
use crate::names;
use crate::series::{self, Counter, Distribution, Exemplar, Family, Kind, Labels, Reading, Series, seconds};
use crate::worker;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar as ProtoExemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pushes all metrics at an interval.
pub(crate) struct Push {
    client: Client,
    reader: Reader,
    resource: ProtoResource,
    interval: Duration,
    failing: AtomicBool,
    failures: Counter,
}

impl Push {
    /// # Errors
    /// The endpoint cannot be used.
    pub(crate) fn new(
        otlp: &Otlp,
        interval: Duration,
        reader: Reader,
        resource: &Resource,
    ) -> Result<Arc<Self>, InitError> {
        let resource = ProtoResource {
            attributes: ResourceAttributesWithSchema::from(resource).attributes.0,
            ..ProtoResource::default()
        };
        let client = Client::new(otlp, Signal::Metrics)?;
        Ok(Arc::new(Self {
            client,
            reader,
            resource,
            interval,
            failing: AtomicBool::new(false),
            failures: series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]),
        }))
    }

    /// Pushes at each interval; never returns.
    pub(crate) async fn pump(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.interval).await;
            // Values are cumulative, so the next push makes up for a failed one.
            let failed = Arc::clone(&self).push().await.is_err();
            if failed != self.failing.swap(failed, Ordering::Relaxed) && failed {
                worker::log(|| {
                    tracing::warn!(
                        target: "ironcore_telemetry",
                        "metrics cannot be delivered over OTLP; the next push carries them"
                    );
                });
            }
        }
    }

    /// Pushes once.
    ///
    /// # Errors
    /// Why the push failed.
    pub(crate) async fn push(self: Arc<Self>) -> Result<(), String> {
        // Waiting for callbacks must not hold up the spans.
        let collecting = Arc::clone(&self);
        let request = tokio::task::spawn_blocking(move || collecting.request()).await;
        let request = request.map_err(|_| "the metrics could not be collected".to_owned())?;
        let answer = self.client.send(vec![Bytes::from(request.encode_to_vec())]).await;
        let failure = match answer {
            Answer::Accepted { rejected: 0, .. } => return Ok(()),
            Answer::Accepted { rejected, message } => {
                format!("the collector rejected {rejected} data points: {}", message.unwrap_or_default())
            }
            Answer::TooLarge(text) | Answer::Refused(text) => text,
            Answer::Failed(failure) => failure.text,
        };
        self.failures.add(1);
        Err(failure)
    }

    fn request(&self) -> ExportMetricsServiceRequest {
        self.reader.refresh();
        // Where the instruments cannot be collected, only our own series are sent.
        let bridged = self.reader.gather().map(|metrics| ExportMetricsServiceRequest::from(&metrics));
        let mut scopes: Vec<_> = bridged
            .into_iter()
            .flat_map(|request| request.resource_metrics)
            .flat_map(|resource| resource.scope_metrics)
            .collect();
        scopes.push(own_scope());
        let resource = Some(self.resource.clone());
        let metrics = ResourceMetrics { resource, scope_metrics: scopes, ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![metrics] }
    }
}

fn own_scope() -> ScopeMetrics {
    let scope = InstrumentationScope { name: names::SCOPE.to_owned(), ..InstrumentationScope::default() };
    let now = now();
    let metrics = series::families().iter().map(|family| metric(family, now)).collect();
    ScopeMetrics { scope: Some(scope), metrics, schema_url: names::SCHEMA_URL.to_owned() }
}

fn metric(Family { metric, series }: &Family, now: u64) -> Metric {
    let temporality = AggregationTemporality::Cumulative.into();
    let number = |value: i64, series: &Series| NumberDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: unix_nanos(series.created),
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let numbers = || {
        let value = |series: &Series| match &series.reading {
            Reading::Counter(count) => i64::try_from(count.value).unwrap_or(i64::MAX),
            Reading::Gauge(value) => *value,
            Reading::Durations(_) => 0,
        };
        series.iter().map(|series| number(value(series), series)).collect()
    };
    let (unit, data) = match metric.kind {
        Kind::Counter => (
            "",
            metric::Data::Sum(Sum { data_points: numbers(), aggregation_temporality: temporality, is_monotonic: true }),
        ),
        Kind::Gauge => ("", metric::Data::Gauge(Gauge { data_points: numbers() })),
        Kind::Durations(bounds) => (
            "s",
            metric::Data::Histogram(Histogram {
                data_points: series.iter().filter_map(|series| histogram_point(bounds, series, now)).collect(),
                aggregation_temporality: temporality,
            }),
        ),
    };
    Metric {
        name: otlp_name(metric.name).to_owned(),
        description: metric.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram_point(bounds: &[u64], series: &Series, now: u64) -> Option<HistogramDataPoint> {
    let Reading::Durations(Distribution { buckets, sum, exemplars, .. }) = &series.reading else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: unix_nanos(series.created),
        time_unix_nano: now,
        count: buckets.iter().sum(),
        sum: Some(seconds(*sum)),
        bucket_counts: buckets.clone(),
        explicit_bounds: bounds.iter().map(|bound| seconds(*bound)).collect(),
        exemplars: exemplars.iter().map(exemplar).collect(),
        ..HistogramDataPoint::default()
    })
}

fn exemplar(Exemplar { ids, value, at }: &Exemplar) -> ProtoExemplar {
    ProtoExemplar {
        time_unix_nano: unix_nanos(*at),
        span_id: ids.span.to_be_bytes().to_vec(),
        trace_id: ids.trace.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(seconds(*value))),
        ..ProtoExemplar::default()
    }
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

/// The current time in nanoseconds since 1970.
fn now() -> u64 {
    unix_nanos(SystemTime::now())
}

fn unix_nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
