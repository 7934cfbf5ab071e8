//! Jaeger's JSON API.

use super::{Http, QueryError, TIMEOUT};
use crate::trace::{Span, Trace};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Jaeger's JSON API.
#[derive(Clone, Debug)]
pub struct Jaeger {
    http: Http,
    base: String,
}

impl Jaeger {
    /// A client of the server at `base`, such as `http://127.0.0.1:16686`.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: Http::new(TIMEOUT), base: base.into() }
    }

    /// The trace with this id (32 hex digits), with the spans that have arrived; `None` if none has.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn trace(&self, id: &str) -> Result<Option<Trace>, QueryError> {
        match self.http.json::<JaegerResponse<JaegerTrace>>(&format!("{}/api/traces/{id}", self.base), &[]) {
            Ok(response) => Ok(response.data.unwrap_or_default().into_iter().next().map(Trace::from)),
            Err(QueryError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The latest traces of a service.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn traces(&self, service: &str, limit: usize) -> Result<Vec<Trace>, QueryError> {
        let parameters = [("service", service), ("limit", &limit.to_string())];
        let response: JaegerResponse<JaegerTrace> =
            self.http.json(&format!("{}/api/traces", self.base), &parameters)?;
        Ok(response.data.unwrap_or_default().into_iter().map(Trace::from).collect())
    }

    /// The names of all services that have sent spans.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn services(&self) -> Result<Vec<String>, QueryError> {
        let response: JaegerResponse<String> = self.http.json(&format!("{}/api/services", self.base), &[])?;
        Ok(response.data.unwrap_or_default())
    }
}

#[derive(Deserialize)]
struct JaegerResponse<T> {
    /// Jaeger returns `null` for an empty list.
    data: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<JaegerSpan>,
    #[serde(default)]
    processes: BTreeMap<String, JaegerProcess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    #[serde(default)]
    references: Vec<JaegerReference>,
    start_time: u64,
    duration: u64,
    #[serde(default)]
    tags: Vec<JaegerTag>,
    #[serde(default)]
    logs: Vec<JaegerLog>,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerReference {
    ref_type: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct JaegerTag {
    key: String,
    value: serde_json::Value,
}

#[derive(Deserialize)]
struct JaegerLog {
    fields: Vec<JaegerTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerProcess {
    service_name: String,
    #[serde(default)]
    tags: Vec<JaegerTag>,
}

impl From<JaegerTrace> for Trace {
    fn from(trace: JaegerTrace) -> Self {
        let JaegerTrace { trace_id, spans, processes } = trace;
        let spans = spans
            .into_iter()
            .map(|span| {
                let process = processes.get(&span.process_id);
                Span {
                    parent_span_id: span.references.into_iter().find(|r| r.ref_type == "CHILD_OF").map(|r| r.span_id),
                    span_id: span.span_id,
                    operation: span.operation_name,
                    service: process.map(|process| process.service_name.clone()).unwrap_or_default(),
                    start_us: span.start_time,
                    duration_us: span.duration,
                    tags: span.tags.iter().map(JaegerTag::pair).collect(),
                    process_tags: process.map(|p| p.tags.iter().map(JaegerTag::pair).collect()).unwrap_or_default(),
                    events: span.logs.iter().filter_map(JaegerLog::name).collect(),
                }
            })
            .collect();
        // Jaeger omits the first half of an id if it is zero.
        Self { trace_id: format!("{trace_id:0>32}"), spans }
    }
}

impl JaegerTag {
    fn pair(&self) -> (String, String) {
        (self.key.clone(), text(&self.value))
    }
}

impl JaegerLog {
    fn name(&self) -> Option<String> {
        self.fields.iter().find(|field| field.key == "event").map(|field| text(&field.value))
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_becomes_a_trace_with_parents_services_and_events() {
        let response = r#"{"data":[{"traceID":"4bf9","spans":[
            {"traceID":"4bf9","spanID":"b","operationName":"wallet.create","references":[
                {"refType":"FOLLOWS_FROM","traceID":"4bf9","spanID":"x"},{"refType":"CHILD_OF","traceID":"4bf9","spanID":"a"}],
             "startTime":1700000000000020,"duration":5,"tags":[{"key":"retries","type":"int64","value":2}],
             "logs":[{"timestamp":1,"fields":[{"key":"event","type":"string","value":"retrying"}]}],
             "processID":"p1","warnings":null}],
            "processes":{"p1":{"serviceName":"wallet","tags":[{"key":"host.name","type":"string","value":"h"}]}},"warnings":null}],
            "total":0,"limit":0,"offset":0,"errors":null}"#;
        let response: JaegerResponse<JaegerTrace> = serde_json::from_str(response).unwrap();
        let trace = Trace::from(response.data.unwrap().remove(0));
        assert_eq!(trace.trace_id, "000000000000000000000000000004bf9"[1..]);
        let span = trace.span("wallet.create").unwrap();
        assert_eq!(span.parent_span_id.as_deref(), Some("a"));
        assert_eq!(span.service, "wallet");
        assert_eq!(span.tag("retries"), Some("2"));
        assert_eq!(span.process_tags, [("host.name".to_owned(), "h".to_owned())]);
        assert_eq!(span.events, ["retrying"]);
    }

    #[test]
    fn null_is_an_empty_list() {
        let response: JaegerResponse<String> = serde_json::from_str(r#"{"data":null,"errors":null}"#).unwrap();
        assert_eq!(response.data, None);
    }
}
