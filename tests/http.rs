//! The HTTP server layer on an axum router. One process, one telemetry: each test has a route of its own.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Request, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use ironcore_telemetry as telemetry;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;
use support::{Receiver, Span, is, sample, serve, span_named, start_recording};
use telemetry::server::Caller;
use telemetry::testing::Capture;
use telemetry::{Boundary, HttpTelemetryLayer, TelemetryGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::ServiceExt;

/// Telemetry of this process; it lives as long as the process.
fn receiver() -> &'static Receiver {
    static TELEMETRY: LazyLock<(Receiver, TelemetryGuard)> = LazyLock::new(|| start_recording("http_test"));
    &TELEMETRY.0
}

fn app() -> Router {
    let inside = Router::new()
        .route("/inside", get(async || "child"))
        .route("/responds-with-ids", get(async || "child"))
        .layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted).trace_response(true));
    let chosen = Router::new()
        .route("/chosen/trusted", get(async || "child"))
        .route("/chosen/untrusted", get(async || "root"))
        .route("/chosen/panics", get(async || "root"))
        .layer(HttpTelemetryLayer::new().boundary_with(boundary));
    Router::new()
        .route("/fine/{id}", get(async || "fine"))
        .route("/parent", get(async || "child"))
        .route("/example", get(async || "fine"))
        .route("/unsampled-caller", get(async || "root"))
        .route("/outside", get(without_baggage))
        .route("/refuses", post(async || StatusCode::UNPROCESSABLE_ENTITY))
        .route("/breaks", get(async || StatusCode::BAD_GATEWAY))
        .route("/waits-again", get(std::future::pending::<&'static str>))
        .route("/drips-again", get(async || Body::new(Parts::then("waits"))))
        .route("/waits", get(std::future::pending::<&'static str>))
        .route("/nested", get(async || create_wallet().await))
        .route("/streams", get(async || Body::new(Parts::then("ends"))))
        .route("/drips", get(async || Body::new(Parts::then("waits"))))
        .route("/explodes", get(async || Body::new(Parts::then("panics"))))
        .route("/upgrades", get(upgrades))
        .route("/declared", get(declared))
        .route("/breaks-off", get(async || Body::new(Parts::then("fails"))))
        .route("/panics", get(panics))
        .route("/takes", post(async |body: String| body))
        .route("/empty", get(async || StatusCode::NO_CONTENT))
        .route("/odd-status", get(async || StatusCode::from_u16(777).unwrap()))
        .route("/late", get(async || "late"))
        .route("/health", get(async || "ok"))
        .merge(telemetry::scrape::router())
        .layer(HttpTelemetryLayer::new().skip("/health").trace_response(true))
        .merge(inside)
        .merge(chosen)
}

/// Its body goes on after the twelve bytes that it declares; a server reads no more than those.
async fn declared() -> Response<Body> {
    let response = Response::builder().header("content-length", "12");
    response.body(Body::new(Parts::then("waits"))).unwrap()
}

/// Speaks another protocol from here on: an echo.
async fn upgrades(mut request: Request<Body>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut connection = TokioIo::new(upgrade.await.unwrap());
        let mut four = [0; 4];
        while connection.read_exact(&mut four).await.is_ok() {
            connection.write_all(&four).await.unwrap();
        }
    });
    let head = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let head = head.header("connection", "upgrade").header("upgrade", "echo");
    head.body(Body::empty()).unwrap()
}

async fn panics() -> &'static str {
    panic!("planned")
}

/// A body of one part; `then` is what follows it.
struct Parts {
    then: &'static str,
    sent: bool,
}

impl Parts {
    const fn then(then: &'static str) -> Self {
        Self { then, sent: false }
    }
}

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if !std::mem::replace(&mut self.sent, true) {
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"twelve bytes")))));
        }
        match self.then {
            "ends" => Poll::Ready(None),
            "waits" => Poll::Pending,
            "panics" => panic!("planned"),
            _ => Poll::Ready(Some(Err(std::io::Error::other("the disk is gone")))),
        }
    }
}

fn boundary(caller: &Caller<'_>) -> Boundary {
    match caller.extensions().get() {
        Some(Peer("trusted")) if caller.route() == Some("/chosen/trusted") => Boundary::Trusted,
        Some(Peer("panics")) => panic!("planned"),
        _ => Boundary::Public,
    }
}

async fn without_baggage() -> StatusCode {
    match Context::current().baggage().len() {
        0 => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    }
}

#[telemetry::instrument_business]
async fn create_wallet() -> &'static str {
    "made"
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

async fn status(request: Request<Body>) -> StatusCode {
    let response = app().oneshot(request).await.unwrap();
    let status = response.status();
    // A request lasts to the end of its response.
    response.into_body().collect().await.unwrap();
    status
}

/// The span of this name, as soon as it has arrived.
fn span(name: &str) -> Span {
    span_named(receiver(), name)
}

fn count(method: &str, route: &str, status: u16) -> f64 {
    let labels = format!(r#"{{method="{method}",route="{route}",status="{status}"}}"#);
    let page = telemetry::scrape::render();
    let timed = sample(&page, &format!("http_request_duration_seconds_count{labels}"));
    let counted = sample(&page, &format!("http_requests_total{labels}"));
    assert!((timed - counted).abs() < f64::EPSILON, "each request is counted and timed");
    counted
}

#[tokio::test]
async fn a_request_is_a_server_span_named_by_method_and_route_and_a_count() {
    let _ = receiver();
    assert_eq!(status(request("GET", "/fine/7?secret=hunter2")).await, StatusCode::OK);
    let span = span("GET /fine/{id}");
    assert_eq!((span.kind, span.status, span.parent_span_id.as_deref()), ("server", "unset", None));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/fine/{id}"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
    assert!(is(count("GET", "/fine/{id}", 200), 1));
    assert!(!format!("{span:?}{}", telemetry::scrape::render()).contains("hunter2"));
}

const CALLERS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

/// Sends a `traceparent` and returns the span of the request.
async fn called(path: &str, mark: impl FnOnce(&mut Request<Body>)) -> Span {
    let _ = receiver();
    let mut request = request("GET", path);
    let parent = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01");
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    mark(&mut request);
    assert_eq!(status(request).await, StatusCode::OK);
    span(&format!("GET {path}"))
}

#[tokio::test]
async fn the_trace_of_an_untrusted_caller_is_linked_and_not_continued() {
    let span = called("/parent", |_| {}).await;
    assert_ne!(span.trace_id, CALLERS_TRACE);
    assert_eq!(span.parent_span_id, None);
    let link = (CALLERS_TRACE.to_owned(), CALLERS_SPAN.to_owned());
    assert_eq!(span.links, [link]);
}

#[tokio::test]
async fn an_untrusted_caller_cannot_opt_out_of_sampling() {
    let span = called("/unsampled-caller", |request| {
        let parent = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-00");
        let headers = request.headers_mut();
        headers.insert("traceparent", parent.parse().unwrap());
        headers.insert("tracestate", "theirs=1".parse().unwrap());
    });
    let span = span.await;
    assert_ne!(span.trace_id, CALLERS_TRACE);
    assert!(!format!("{span:?}").contains("theirs"));
}

#[tokio::test]
async fn the_lines_of_an_untrusted_callers_request_have_our_ids() {
    let _ = receiver();
    let capture = Capture::new();
    let mut untrusted = request("GET", "/fine/7");
    let parent = format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01");
    untrusted.headers_mut().insert("traceparent", parent.parse().unwrap());
    let answer = capture.run_async(status(untrusted)).await;
    assert_eq!(answer, StatusCode::OK);
    let trace = &capture.spans()[0].trace_id;
    assert_ne!(trace, CALLERS_TRACE);
    let lines = capture.log_lines();
    assert!(lines.iter().any(|line| line.contains("http_access")));
    for line in lines.iter().filter(|line| line.contains("trace_id")) {
        assert!(line.contains(trace.as_str()), "{line}");
    }
}

#[tokio::test]
async fn the_trace_of_a_trusted_caller_is_continued() {
    let span = called("/inside", |_| {}).await;
    assert_eq!(span.trace_id, CALLERS_TRACE);
    assert_eq!(span.parent_span_id.as_deref(), Some(CALLERS_SPAN));
    assert!(span.links.is_empty());
}

/// As a server would name the peer of the connection.
#[derive(Clone)]
struct Peer(&'static str);

#[tokio::test]
async fn a_context_that_an_outer_layer_has_extracted_is_not_continued() {
    let _ = receiver();
    let remote = SpanContext::new(
        TraceId::from_hex(CALLERS_TRACE).unwrap(),
        SpanId::from_hex(CALLERS_SPAN).unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let outside = Context::new().with_remote_span_context(remote).with_baggage([KeyValue::new("admin", "1")]);
    let answer = status(request("GET", "/outside")).with_context(outside);
    assert_eq!(answer.await, StatusCode::OK);
    let span = span("GET /outside");
    assert_ne!(span.trace_id, CALLERS_TRACE);
    assert_eq!(span.parent_span_id, None);
}

#[tokio::test]
async fn a_function_chooses_the_boundary_for_each_caller() {
    let trusted = called("/chosen/trusted", |request| {
        request.extensions_mut().insert(Peer("trusted"));
    });
    assert_eq!(trusted.await.trace_id, CALLERS_TRACE);
    let untrusted = called("/chosen/untrusted", |_| {}).await;
    assert_ne!(untrusted.trace_id, CALLERS_TRACE);
}

#[tokio::test]
async fn a_boundary_function_that_panics_trusts_no_caller_and_the_request_goes_on() {
    let span = called("/chosen/panics", |request| {
        request.extensions_mut().insert(Peer("panics"));
    });
    assert_ne!(span.await.trace_id, CALLERS_TRACE);
}

#[tokio::test]
async fn a_4xx_response_is_not_an_error_of_the_service_and_a_5xx_is() {
    let _ = receiver();
    assert_eq!(status(request("POST", "/refuses")).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(status(request("GET", "/breaks")).await, StatusCode::BAD_GATEWAY);
    let (refused, broken) = (span("POST /refuses"), span("GET /breaks"));
    assert_eq!((refused.status, refused.attribute("error.type")), ("unset", None));
    assert_eq!((broken.status, broken.attribute("error.type")), ("error", Some("502")));
}

/// A gauge or a counter of a route; zero when it is not there.
fn route_value(metric: &str, method: &str, route: &str) -> f64 {
    let series = format!(r#"{metric}{{method="{method}",route="{route}"}} "#);
    let page = telemetry::scrape::render();
    let found = page.lines().find_map(|line| line.strip_prefix(&series));
    found.map_or(0.0, |value| value.parse().unwrap())
}

fn in_flight(route: &str) -> f64 {
    route_value("http_requests_in_flight", "GET", route)
}

#[tokio::test]
async fn a_request_is_in_flight_to_the_end_of_its_body() {
    let _ = receiver();
    let response = app().oneshot(request("GET", "/streams")).await.unwrap();
    assert!(is(in_flight("/streams"), 1));
    response.into_body().collect().await.unwrap();
    assert!(is(in_flight("/streams"), 0));
    assert!(is(count("GET", "/streams", 200), 1));
    let sent = route_value("http_response_body_bytes_total", "GET", "/streams");
    assert!(is(sent, 12));
}

#[tokio::test]
async fn a_response_that_is_dropped_midway_is_cancelled() {
    let _ = receiver();
    let response = app().oneshot(request("GET", "/drips")).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(is(count("GET", "/drips", 499), 1) && is(in_flight("/drips"), 0));
    let span = span("GET /drips");
    // The status of the head is kept.
    assert_eq!(span.attribute("http.response.status_code"), Some("200"));
    assert_eq!(span.attribute("error.type"), Some("cancelled"));
    assert_eq!(span.status, "unset");
}

#[tokio::test]
async fn a_response_of_declared_length_ends_with_its_last_byte() {
    let _ = receiver();
    let response = app().oneshot(request("GET", "/declared")).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(is(count("GET", "/declared", 200), 1));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_an_error_of_the_service() {
    let _ = receiver();
    let response = app().oneshot(request("GET", "/breaks-off")).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert!(is(count("GET", "/breaks-off", 500), 1) && is(in_flight("/breaks-off"), 0));
    let span = span("GET /breaks-off");
    assert_eq!((span.status, span.attribute("error.type")), ("error", Some("response_body")));
}

#[tokio::test]
async fn a_panic_goes_on_and_is_counted_as_an_error() {
    let _ = receiver();
    let answer = AssertUnwindSafe(app().oneshot(request("GET", "/panics")));
    assert!(futures_util::FutureExt::catch_unwind(answer).await.is_err());
    assert!(is(count("GET", "/panics", 500), 1) && is(in_flight("/panics"), 0));
    let span = span("GET /panics");
    assert_eq!((span.status, span.attribute("error.type")), ("error", Some("panic")));
}

#[tokio::test]
async fn a_body_that_panics_is_an_error_even_when_the_panic_is_caught() {
    let _ = receiver();
    let response = app().oneshot(request("GET", "/explodes")).await.unwrap();
    let body = AssertUnwindSafe(response.into_body().collect());
    assert!(futures_util::FutureExt::catch_unwind(body).await.is_err());
    assert!(is(count("GET", "/explodes", 500), 1) && is(in_flight("/explodes"), 0));
    let span = span("GET /explodes");
    assert_eq!((span.status, span.attribute("error.type")), ("error", Some("panic")));
}

#[tokio::test]
async fn an_upgraded_connection_is_no_longer_a_request() {
    let _ = receiver();
    let address = serve(async |listener| axum::serve(listener, app()).await.unwrap());
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = "GET /upgrades HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    // The connection goes on, and the request is already counted.
    for _ in 0..2 {
        connection.write_all(b"ping").await.unwrap();
        let mut echo = [0; 4];
        connection.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"ping");
        assert!(is(count("GET", "/upgrades", 101), 1) && is(in_flight("/upgrades"), 0));
    }
    assert_eq!(span("GET /upgrades").status, "unset");
}

#[tokio::test]
async fn a_response_without_a_body_ends_with_its_head() {
    let _ = receiver();
    for (method, path, status) in [("GET", "/empty", 204), ("HEAD", "/fine/7", 200)] {
        let response = app().oneshot(request(method, path)).await.unwrap();
        assert_eq!(response.status(), status);
        drop(response);
    }
    assert!(is(count("GET", "/empty", 204), 1) && is(count("HEAD", "/fine/{id}", 200), 1));
}

#[tokio::test]
async fn the_bytes_that_a_handler_reads_of_a_body_are_counted() {
    let _ = receiver();
    let with_body = |size: usize| {
        let mut request = request("POST", "/takes");
        *request.body_mut() = Body::from("x".repeat(size));
        request
    };
    for size in [0, 7, 100] {
        assert_eq!(status(with_body(size)).await, StatusCode::OK);
    }
    assert!(is(route_value("http_request_body_bytes_total", "POST", "/takes"), 107));
    assert!(is(route_value("http_response_body_bytes_total", "POST", "/takes"), 107));
}

#[tokio::test]
async fn a_skipped_route_is_not_recorded() {
    let _ = receiver();
    let capture = Capture::new();
    let answer = capture.run_async(status(request("GET", "/health"))).await;
    assert_eq!(answer, StatusCode::OK);
    assert!(capture.spans().is_empty() && capture.log_lines().is_empty());
    assert_eq!(status(request("GET", "/health")).await, StatusCode::OK);
    assert!(!telemetry::scrape::render().contains("/health"));
}

#[tokio::test]
async fn an_unknown_status_is_counted_as_other() {
    let _ = receiver();
    assert_eq!(status(request("GET", "/odd-status")).await.as_u16(), 777);
    let series = r#"http_requests_total{method="GET",route="/odd-status",status="_OTHER"}"#;
    assert!(is(sample(&telemetry::scrape::render(), series), 1));
}

#[tokio::test]
async fn a_user_agent_is_truncated_and_no_other_header_or_body_is_recorded() {
    let _ = receiver();
    let capture = Capture::new();
    for (agent, kept) in [("x".repeat(256), 256), ("y".repeat(257), 256)] {
        let mut request = request("POST", "/takes?key=hunter2");
        *request.body_mut() = Body::from("hunter2");
        let headers = request.headers_mut();
        headers.insert("user-agent", agent.parse().unwrap());
        headers.insert("authorization", "Bearer hunter2".parse().unwrap());
        headers.insert("cookie", "session=hunter2".parse().unwrap());
        capture.run_async(status(request)).await;
        let spans = capture.spans();
        let seen = spans.last().unwrap().attribute("user_agent.original");
        assert_eq!(seen.map(str::len), Some(kept));
    }
    capture.run_async(status(request("GET", "/fine/hunter2"))).await;
    capture.assert_absent("hunter2");
}

#[tokio::test]
async fn only_a_trusted_caller_receives_the_ids_of_the_span() {
    let _ = receiver();
    let inside = app().oneshot(request("GET", "/responds-with-ids")).await.unwrap();
    let response = inside.headers()["traceresponse"].to_str().unwrap().to_owned();
    let timing = inside.headers()["server-timing"].to_str().unwrap();
    assert_eq!(timing, format!("traceparent;desc=\"{response}\""));
    assert_eq!((response.len(), &response[..3]), (55, "00-"));
    let outside = app().oneshot(request("GET", "/fine/7")).await.unwrap();
    assert!(!outside.headers().contains_key("traceresponse"));
    assert!(!outside.headers().contains_key("server-timing"));
}

#[tokio::test]
async fn junk_makes_no_series_and_does_not_block_those_of_real_routes() {
    let _ = receiver();
    let junk = async |attempt: usize| {
        let mut request = request(&format!("JUNK{attempt}"), &format!("/junk/{attempt}?j={attempt}"));
        let name = format!("x-junk-{attempt}");
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), "junk".parse().unwrap());
        headers.insert("host", format!("junk{attempt}.example.org").parse().unwrap());
        headers.insert("user-agent", format!("junk/{attempt}").parse().unwrap());
        assert_eq!(status(request).await, StatusCode::NOT_FOUND);
    };
    let series = || {
        let page = telemetry::scrape::render();
        let of_junk = |line: &&str| line.contains("method=\"_OTHER\"");
        page.lines().filter(of_junk).count()
    };
    junk(0).await;
    let before = series();
    for attempt in 1..3_000 {
        junk(attempt).await;
    }
    assert_eq!(series(), before);
    assert!(is(count("_OTHER", "_unmatched", 404), 3_000));
    assert!(!telemetry::scrape::render().to_lowercase().contains("junk"));
    let folded = r#"telemetry_label_overflow_total{metric="http_requests_total",label="method"}"#;
    assert!(is(sample(&telemetry::scrape::render(), folded), 3_000));
    assert_eq!(status(request("GET", "/late")).await, StatusCode::OK);
    assert!(is(count("GET", "/late", 200), 1));
}

#[tokio::test]
async fn a_caller_that_goes_away_is_counted_and_its_span_ends() {
    let _ = receiver();
    let answer = tokio::time::timeout(Duration::from_millis(20), app().oneshot(request("GET", "/waits")));
    assert!(answer.await.is_err());
    assert!(is(count("GET", "/waits", 499), 1) && is(in_flight("/waits"), 0));
    assert_eq!(span("GET /waits").attribute("error.type"), Some("cancelled"));
}

#[tokio::test]
async fn a_request_that_waits_leaves_no_context_on_the_thread() {
    let _ = receiver();
    let is_clear = || !Context::current().has_active_span();
    let mut task = TaskContext::from_waker(Waker::noop());
    let mut waits = Box::pin(app().oneshot(request("GET", "/waits-again")));
    assert!(waits.as_mut().poll(&mut task).is_pending());
    assert!(is_clear());
    let response = app().oneshot(request("GET", "/drips-again")).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    let mut rest = Box::pin(body.frame());
    assert!(rest.as_mut().poll(&mut task).is_pending());
    assert!(is_clear());
}

#[tokio::test]
async fn an_operation_in_a_handler_is_a_child_of_the_request() {
    let _ = receiver();
    assert_eq!(status(request("GET", "/nested")).await, StatusCode::OK);
    let (outer, inner) = (span("GET /nested"), span("wallet.create"));
    assert_eq!(inner.parent_span_id, Some(outer.span_id));
    assert_eq!(inner.trace_id, outer.trace_id);
}

#[tokio::test]
async fn the_page_can_be_mounted_on_a_router() {
    let _ = receiver();
    let answer = app().oneshot(request("GET", "/metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let page = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(page.starts_with(b"# HELP "));
}

#[tokio::test]
async fn clients_that_request_open_metrics_receive_exemplars_on_buckets_and_counters() {
    let _ = receiver();
    assert_eq!(status(request("GET", "/example")).await, StatusCode::OK);
    let trace = span("GET /example").trace_id;
    let scrape = async |accept: &str| {
        let mut request = request("GET", "/metrics");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        let response = app().oneshot(request).await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (kind, String::from_utf8(body.to_vec()).unwrap())
    };
    let (kind, page) = scrape("application/openmetrics-text; version=1.0.0, */*;q=0.1").await;
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    for name in ["http_request_duration_seconds_bucket", "http_requests_total"] {
        let of_route = |line: &&str| line.starts_with(name) && line.contains("route=\"/example\"");
        let example = page.lines().filter(of_route).find(|line| line.contains(" # {"));
        let example = example.unwrap_or_else(|| panic!("{page}"));
        assert!(example.contains(&format!("trace_id=\"{trace}\"")), "{example}");
    }
    assert!(page.contains("# TYPE http_requests counter\n"), "{page}");
    assert!(page.ends_with("\n# EOF\n"), "{page}");

    let (kind, page) = scrape("text/plain").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(!page.contains(" # {") && !page.contains("# EOF"), "{page}");
}
