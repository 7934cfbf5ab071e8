//! The HTTP client layer, against real servers on this machine. One process, one telemetry: each test has a peer of its
//! own.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{any, get};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ironcore_telemetry as telemetry;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::LazyLock;
use std::time::Duration;
use support::{Scene, Span, assert_sample, span_named, wait_for};
use telemetry::client::{HttpClientTelemetryService, Resends};
use telemetry::{Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};
use tower::retry::{Policy, Retry};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// Telemetry and a server of this process; both live as long as it.
fn scene() -> &'static Scene {
    static SCENE: LazyLock<Scene> =
        LazyLock::new(|| Scene::start("clients_test", async |listener| axum::serve(listener, server()).await.unwrap()));
    &SCENE
}

fn server() -> Router {
    Router::new()
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/busy", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/waits", get(std::future::pending::<&'static str>))
        .route("/any", any(async || "fine"))
        .route("/continued", get(async || "fine"))
        .layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted))
}

type Http = HttpClientTelemetryService<Client<HttpConnector, Body>>;

fn client(layer: &HttpClientTelemetryLayer) -> Http {
    layer.layer(Client::builder(TokioExecutor::new()).build_http())
}

fn request(path: &str) -> Request<Body> {
    let uri = format!("http://{}{path}", scene().address);
    Request::get(uri).body(Body::empty()).unwrap()
}

async fn status(peer: &'static str, path: &str) -> StatusCode {
    let request = request(path);
    let client = client(&HttpClientTelemetryLayer::new(peer));
    let response = client.oneshot(request).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

/// The client span of a peer, as soon as it has arrived.
fn span(peer: &str) -> Span {
    let mut spans = spans(peer, 1);
    spans.remove(0)
}

fn spans(peer: &str, count: usize) -> Vec<Span> {
    wait_for(&format!("{count} spans of {peer}"), || {
        let mut spans = scene().receiver.spans();
        spans.retain(|span| span.attribute("service.peer.name") == Some(peer));
        (spans.len() == count).then_some(spans)
    })
}

fn counted(metric: &str, peer: &str, more: &str) -> Option<u64> {
    let series = format!(r#"{metric}{{peer="{peer}",method="GET"{more}}} "#);
    let page = telemetry::scrape::render();
    let found = page.lines().find_map(|line| line.strip_prefix(&series));
    found.map(|value| value.parse().unwrap())
}

#[track_caller]
fn assert_counted(peer: &str, status: &str, count: u64) {
    let status = format!(r#",status="{status}""#);
    assert_eq!(counted("http_client_requests_total", peer, &status), Some(count));
    let timed = counted("http_client_request_duration_seconds_count", peer, &status);
    assert_eq!(timed, Some(count));
    assert_eq!(counted("http_client_requests_in_flight", peer, ""), Some(0));
}

#[tokio::test]
async fn a_request_is_a_client_span_and_its_trace_goes_on_at_the_peer() {
    assert_eq!(status("one", "/continued?key=hunter2").await, StatusCode::OK);
    let span = span("one");
    assert_eq!((span.name.as_str(), span.kind), ("GET", "client"));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("server.address", "one"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
    assert_eq!(span.status, "unset");
    assert_counted("one", "200", 1);
    let at_the_peer = span_named(&scene().receiver, "GET /continued");
    assert_eq!(at_the_peer.trace_id, span.trace_id);
    assert_eq!(at_the_peer.parent_span_id, Some(span.span_id.clone()));
    // Neither the address nor anything in it.
    let text = format!("{span:?}");
    assert!(!text.contains("hunter2") && !text.contains("127.0.0.1") && !text.contains("/continued"));
}

#[tokio::test]
async fn the_address_of_a_span_is_the_declared_host_and_never_another() {
    let layer = HttpClientTelemetryLayer::new("declared").propagate_to("https://127.0.0.1:9/").unwrap();
    let response = client(&layer).oneshot(request("/any")).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(span("declared").attribute("server.address"), Some("127.0.0.1"));

    let layer = HttpClientTelemetryLayer::new("undeclared").propagate_to("*.nodes.example.org").unwrap();
    let transport = service_fn(|_: Request<Body>| ready(Ok::<_, Infallible>(http::Response::new(Body::empty()))));
    let request = Request::get("https://hunter2.nodes.example.org/").body(Body::empty()).unwrap();
    layer.layer(transport).oneshot(request).await.unwrap();
    let span = span("undeclared");
    assert_eq!(span.attribute("server.address"), Some("undeclared"));
    assert!(!format!("{span:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_response_of_400_and_above_is_an_error_of_the_span() {
    for (peer, path, code) in [("missing", "/missing", "404"), ("busy", "/busy", "503")] {
        assert_eq!(status(peer, path).await.as_str(), code);
        let span = span(peer);
        assert_eq!((span.status, span.attribute("error.type")), ("error", Some(code)));
        assert_counted(peer, code, 1);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_respond_is_an_error() {
    scene();
    let request = Request::get("http://127.0.0.1:9/").body(Body::empty()).unwrap();
    let client = client(&HttpClientTelemetryLayer::new("absent"));
    assert!(client.oneshot(request).await.is_err());
    let span = span("absent");
    let error = span.attribute("error.type");
    assert_eq!((span.status, error), ("error", Some("no_response")));
    assert_counted("absent", "error", 1);
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled_and_not_an_error() {
    let request = request("/waits");
    let client = client(&HttpClientTelemetryLayer::new("slow"));
    let answer = tokio::time::timeout(Duration::from_millis(100), client.oneshot(request));
    assert!(answer.await.is_err());
    assert_counted("slow", "cancelled", 1);
    let span = span("slow");
    let error = span.attribute("error.type");
    assert_eq!((span.status, error), ("unset", None));
}

#[tokio::test]
async fn a_body_that_is_dropped_unread_is_not_an_error() {
    let request = request("/any");
    let client = client(&HttpClientTelemetryLayer::new("glance"));
    drop(client.oneshot(request).await.unwrap());
    assert_counted("glance", "200", 1);
    assert_eq!(span("glance").attribute("error.type"), None);
}

#[tokio::test]
async fn a_panic_while_a_response_is_held_is_not_an_error_of_the_request() {
    let request = request("/any");
    let client = client(&HttpClientTelemetryLayer::new("held"));
    let held = client.oneshot(request).await.unwrap();
    let panics = std::panic::AssertUnwindSafe(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new("as it was asked to"));
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_counted("held", "200", 1);
    assert_eq!(span("held").attribute("error.type"), None);
}

#[tokio::test]
async fn unknown_statuses_make_one_series() {
    scene();
    for status in 600..1_000 {
        let peer = service_fn(move |_: Request<Body>| {
            let answer = http::Response::builder().status(status).body(Body::empty());
            ready(Ok::<_, Infallible>(answer.unwrap()))
        });
        let request = Request::get("http://127.0.0.1/").body(Body::empty()).unwrap();
        let layer = HttpClientTelemetryLayer::new("hostile");
        layer.layer(peer).oneshot(request).await.unwrap();
    }
    assert_counted("hostile", "_OTHER", 400);
    let page = telemetry::scrape::render();
    let of_peer = |line: &&str| line.starts_with("http_client_requests_total{peer=\"hostile\"");
    assert_eq!(page.lines().filter(of_peer).count(), 1);
    let folded = r#"telemetry_label_overflow_total{metric="http_client_requests_total",label="status"}"#;
    assert_sample(&page, folded, 400);
}

/// Forwards the headers of an untrusted caller; the headers that arrive at the peer.
async fn forwarded(layer: HttpClientTelemetryLayer, uri: &str) -> HeaderMap {
    scene();
    let (sender, receiver) = std::sync::mpsc::channel();
    let peer = service_fn(move |request: Request<Body>| {
        sender.send(request.headers().clone()).unwrap();
        ready(Ok::<_, Infallible>(http::Response::new(Body::empty())))
    });
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    for (name, value) in UNTRUSTED {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    layer.layer(peer).oneshot(request).await.unwrap();
    receiver.recv().unwrap()
}

/// Headers of an untrusted caller.
const UNTRUSTED: [(&str, &str); 5] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "theirs=1"),
    ("baggage", "admin=1"),
    ("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
    ("uber-trace-id", "1:2:0:1"),
];

#[tokio::test]
async fn a_foreign_host_receives_the_trace_only_when_it_is_named() {
    let layer = || HttpClientTelemetryLayer::new("forwarded");
    let foreign = "https://api.example.org/v1";
    assert!(forwarded(layer(), foreign).await.is_empty());
    let named = forwarded(layer().propagate_to("*.example.org").unwrap(), foreign).await;
    let ours = forwarded(layer(), "http://ledger.internal/v1").await;
    for headers in [named, ours] {
        // Our own trace, and none of the headers that were forwarded.
        let parent = headers["traceparent"].to_str().unwrap();
        assert!(!parent.contains("0af7651916cd43dd"), "{parent}");
        assert_eq!(headers.len(), 1, "{headers:?}");
    }
}

/// Tries three times.
#[derive(Clone)]
struct Thrice(u32);

impl<Answer, Error> Policy<Request<Body>, Answer, Error> for Thrice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, _: &mut Result<Answer, Error>) -> Option<Self::Future> {
        self.0 = self.0.checked_sub(1)?;
        (self.0 > 0).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut copy = Request::get(request.uri()).body(Body::empty()).unwrap();
        *copy.extensions_mut() = request.extensions().clone();
        Some(copy)
    }
}

#[tokio::test]
async fn a_retry_is_a_span_of_its_own_with_the_number_of_earlier_attempts() {
    let mut request = request("/busy");
    request.extensions_mut().insert(Resends::default());
    let client = client(&HttpClientTelemetryLayer::new("again"));
    let answer = Retry::new(Thrice(3), client).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(answer);
    let mut resends: Vec<_> =
        spans("again", 3).iter().map(|span| span.attribute("http.request.resend_count").map(str::to_owned)).collect();
    resends.sort();
    assert_eq!(resends, [None, Some("1".to_owned()), Some("2".to_owned())]);
    assert_counted("again", "503", 3);
}

#[tokio::test]
async fn unknown_methods_make_no_series_at_a_client_either() {
    for attempt in 0..50 {
        let mut request = request("/any");
        *request.method_mut() = format!("JUNK{attempt}").parse().unwrap();
        let client = client(&HttpClientTelemetryLayer::new("junk"));
        client.oneshot(request).await.unwrap();
    }
    let page = telemetry::scrape::render();
    let of_peer = |line: &&str| line.starts_with("http_client_requests_total{peer=\"junk\"");
    let series: Vec<_> = page.lines().filter(of_peer).collect();
    assert_eq!(series, [r#"http_client_requests_total{peer="junk",method="_OTHER",status="200"} 50"#]);
}
