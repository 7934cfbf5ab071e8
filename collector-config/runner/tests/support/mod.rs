//! Helpers for the tests with real servers.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod expressions;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;
use stack::query::wait_until;
use stack::service::{Service, ServiceOptions};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// Waits until `attempt` returns a value.
#[track_caller]
pub(crate) fn eventually<T, E>(awaited: &str, attempt: impl FnMut() -> Result<Option<T>, E>) -> T
where
    E: Into<stack::Error>,
{
    wait_until(PATIENCE, POLL, awaited, attempt).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually_true(awaited: &str, mut condition: impl FnMut() -> Result<bool, stack::Error>) {
    eventually(awaited, || condition().map(|done| done.then_some(())));
}

/// The wallet service, built once for each test binary.
#[track_caller]
pub(crate) fn service(options: ServiceOptions) -> Service {
    Service::start(&ServiceOptions { program: Some(program()), ..options }).unwrap_or_else(|error| panic!("{error:#}"))
}

fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| Service::build().unwrap_or_else(|error| panic!("{error:#}"))).clone()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None).build().into()
}

/// The status and the JSON body of a GET; `null` if the body is not JSON.
pub(crate) fn get(url: &str) -> (u16, Value) {
    let mut response = agent().get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    let body = response.body_mut().read_json().unwrap_or_default();
    (response.status().as_u16(), body)
}

/// The status and the JSON body of a POST; `null` if the body is not JSON.
pub(crate) fn post(url: &str, body: &Value) -> (u16, Value) {
    let mut response = agent().post(url).send_json(body).unwrap_or_else(|error| panic!("{url}: {error}"));
    let body = response.body_mut().read_json().unwrap_or_default();
    (response.status().as_u16(), body)
}

/// The status of a POST of JSON lines.
pub(crate) fn post_lines(url: &str, lines: &[Value]) -> u16 {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let request = agent().post(url).header("content-type", "application/stream+json");
    let response = request.send(lines.join("\n")).unwrap_or_else(|error| panic!("{url}: {error}"));
    response.status().as_u16()
}

/// A span that is sent without the library.
#[derive(Clone)]
pub(crate) struct RawSpan {
    pub(crate) trace: u128,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(&'static str, String)>,
    pub(crate) failed: bool,
    pub(crate) millis: u64,
}

impl RawSpan {
    pub(crate) fn new(trace: u128, name: &str) -> Self {
        Self { trace, name: name.to_owned(), attributes: Vec::new(), failed: false, millis: 5 }
    }

    pub(crate) fn with(mut self, key: &'static str, value: &str) -> Self {
        self.attributes.push((key, value.to_owned()));
        self
    }

    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// A unique trace id.
pub(crate) fn new_trace() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    // The lower bits must look random: samplers select traces by them.
    let mut mixed = since.as_nanos() ^ u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    mixed = mixed.wrapping_mul(0x2d99_787a_9261_97b1_8a45_22c2_e2d9_4a3f);
    mixed ^ (mixed >> 64)
}

/// Sends spans of a service named `raw` in one request over OTLP/HTTP.
#[track_caller]
pub(crate) fn send(base: &str, spans: &[RawSpan]) {
    send_otlp(base, "raw", spans.iter().map(otlp).collect());
}

/// Sends the spans of a service in one request over OTLP/HTTP.
#[track_caller]
pub(crate) fn send_otlp(base: &str, service: &str, spans: Vec<Span>) {
    let resource_spans = vec![ResourceSpans {
        resource: Some(Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    // A server that reports to be healthy may open this port a moment later.
    let address = base.trim_start_matches("http://");
    eventually_true(base, || Ok(TcpStream::connect(address).is_ok()));
    let answer = agent()
        .post(format!("{base}/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .send(&body)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer.status(), 200);
}

fn otlp(span: &RawSpan) -> Span {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let end = u64::try_from(since.as_nanos()).unwrap();
    Span {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec(),
        name: span.name.clone(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: end - span.millis * 1_000_000,
        end_time_unix_nano: end,
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: Some(Status { code: i32::from(span.failed) * 2, ..Status::default() }),
        ..Span::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.into())) }),
        ..KeyValue::default()
    }
}
