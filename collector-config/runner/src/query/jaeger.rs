//! Jaeger's API, version 3: OTLP as JSON.

use super::Api;
use crate::otlp;
use crate::trace::Trace;
use anyhow::Result;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Jaeger's JSON API.
#[derive(Clone, Debug)]
pub struct Jaeger(Api);

impl Jaeger {
    /// A client of the server at `base`, such as `http://127.0.0.1:16686`.
    pub fn new(base: impl Into<String>) -> Self {
        Self(Api::new(base))
    }

    /// The trace with this id (32 hex digits), with the spans that have arrived; `None` if none has.
    pub fn trace(&self, id: &str) -> Result<Option<Trace>> {
        let found: Option<Found> = self.0.json_if_found(&format!("/api/v3/traces/{id}"), &[])?;
        Ok(found.and_then(|found| Trace::of(id, otlp::spans(found.result.resource_spans))))
    }

    /// The latest traces of a service.
    pub fn traces(&self, service: &str, limit: usize) -> Result<Vec<Trace>> {
        let parameters = [
            ("query.service_name", service),
            ("query.num_traces", &limit.to_string()),
            // Both are required.
            ("query.start_time_min", "2000-01-01T00:00:00Z"),
            ("query.start_time_max", "2100-01-01T00:00:00Z"),
        ];
        let Some(found) = self.0.json_if_found::<Found>("/api/v3/traces", &parameters)? else {
            return Ok(Vec::new());
        };
        let mut traces: BTreeMap<String, Vec<otlp::Span>> = BTreeMap::new();
        for span in otlp::spans(found.result.resource_spans) {
            traces.entry(span.trace_id.clone()).or_default().push(span);
        }
        Ok(traces.into_iter().map(|(trace_id, spans)| Trace { trace_id, spans }).collect())
    }

    /// The names of all services that have sent spans.
    pub fn services(&self) -> Result<Vec<String>> {
        Ok(self.0.json::<Services>("/api/v3/services", &[])?.services)
    }
}

#[derive(Deserialize)]
struct Found {
    result: Spans,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spans {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
struct Services {
    #[serde(default)]
    services: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_becomes_spans_with_parents_services_and_events() {
        let response = r#"{"result":{"resourceSpans":[{
            "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"wallet"}}]},
            "scopeSpans":[{"scope":{"name":"s"},"spans":[{
                "traceId":"000000000000000000000000000004bf","spanId":"00000000000000b1","parentSpanId":"00000000000000a1",
                "name":"wallet.create","kind":2,"startTimeUnixNano":"20","endTimeUnixNano":"25",
                "attributes":[{"key":"retries","value":{"intValue":"2"}}],
                "events":[{"timeUnixNano":"21","name":"retrying"}],"status":{"message":"bad","code":2}}]}]}]}}"#;
        let found: Found = serde_json::from_str(response).unwrap();
        let id = format!("{:0>32}", "4bf");
        let trace = Trace::of(&id, otlp::spans(found.result.resource_spans)).unwrap();
        let span = trace.span("wallet.create").unwrap();
        assert_eq!((span.parent_span_id.as_deref(), span.service()), (Some("00000000000000a1"), "wallet"));
        assert_eq!((span.kind, span.is_error(), span.attribute("retries")), ("server", true, Some("2")));
        assert_eq!((span.end_ns - span.start_ns, &span.events[..]), (5, &["retrying".to_owned()][..]));
    }
}
