//! The layers among the layers, routers and services of others.

#[path = "composition/grpc_web.rs"]
mod grpc_web;
#[path = "composition/panics.rs"]
mod panics;
#[path = "composition/routes.rs"]
mod routes;

use ironcore_telemetry as telemetry;
use serde_json::json;
use support::{Receiver, in_child, shutdown, start};

#[telemetry::instrument_business]
fn create_wallet() {}

#[test]
fn the_scopes_of_spans_and_metrics_name_the_schema_of_their_attributes() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        tracing::info_span!("of_tracing").in_scope(|| {});
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("OTEL_METRICS_EXPORTER", "otlp").run();
    assert_eq!(report.lost(), None);
    let schema = "https://opentelemetry.io/schemas/1.44.0";
    let spans: Vec<_> = receiver.spans().into_iter().map(|span| (span.name, span.schema_url)).collect();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|(_, url)| url == schema), "{spans:?}");
    let metrics: Vec<_> =
        receiver.metrics().into_iter().filter(|metric| metric.scope == "ironcore-telemetry").collect();
    assert!(!metrics.is_empty() && metrics.iter().all(|metric| metric.schema_url == schema), "{metrics:?}");
}
