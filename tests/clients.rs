//! The HTTP client layer, against real servers on this machine. One process, one telemetry: each test has a peer of its own.

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
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use support::{PATIENCE, ReceivedSpan, Receiver};
use telemetry::client::{HttpClientTelemetryService, Resends};
use telemetry::{Boundary, Config, HttpClientTelemetryLayer, HttpTelemetryLayer, TelemetryGuard};
use tower::retry::{Policy, Retry};
use tower::{Layer as _, ServiceExt as _, service_fn};

struct Scene {
    receiver: Receiver,
    address: SocketAddr,
    _guard: TelemetryGuard,
}

/// Telemetry and a server of this process; both live as long as it.
fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let receiver = Receiver::start().unwrap();
        let config = Config::new("clients_test").endpoint(receiver.grpc_url()).metrics_listener(None).log_filter("off");
        let guard = telemetry::init_with(config).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, server()).await.unwrap();
            });
        });
        Scene { receiver, address: told.recv().unwrap(), _guard: guard }
    })
}

fn server() -> Router {
    Router::new()
        .route("/missing", get(async || StatusCode::NOT_FOUND))
        .route("/busy", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/waits", get(std::future::pending::<&'static str>))
        .route("/any", any(async || "fine"))
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
fn span(peer: &str) -> ReceivedSpan {
    let mut spans = spans(peer, 1);
    spans.remove(0)
}

fn spans(peer: &str, count: usize) -> Vec<ReceivedSpan> {
    stack::query::wait_until(PATIENCE, Duration::from_millis(10), peer, || {
        let spans = scene().receiver.spans().into_iter();
        let of_peer = |span: &ReceivedSpan| span.attribute("service.peer.name") == Some(peer);
        let found: Vec<_> = spans.filter(of_peer).collect();
        Ok::<_, Infallible>((found.len() == count).then_some(found))
    })
    .unwrap_or_else(|late| panic!("not {count} spans of {peer}: {late:?}"))
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
    assert_eq!(status("one", "/any?key=hunter2").await, StatusCode::OK);
    let span = span("one");
    assert_eq!((span.name.as_str(), span.kind), ("GET", "client"));
    for (key, value) in [("http.request.method", "GET"), ("http.response.status_code", "200"), ("url.scheme", "http")] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
    assert_eq!(span.status, "unset");
    assert_counted("one", "200", 1);
    let at_the_peer = support::span_named(&scene().receiver, "GET /any");
    assert_eq!(at_the_peer.trace_id, span.trace_id);
    assert_eq!(at_the_peer.parent_span_id, Some(span.span_id.clone()));
    // Neither the address nor what is in it.
    let text = format!("{span:?}");
    assert!(!text.contains("hunter2") && !text.contains("127.0.0.1") && !text.contains("/any"));
}

#[tokio::test]
async fn an_answer_of_400_and_more_is_an_error_of_the_span() {
    for (peer, path, code) in [("missing", "/missing", "404"), ("busy", "/busy", "503")] {
        assert_eq!(status(peer, path).await.as_str(), code);
        let span = span(peer);
        assert_eq!((span.status, span.attribute("error.type")), ("error", Some(code)));
        assert_counted(peer, code, 1);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_an_error() {
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
async fn a_request_that_is_given_up_is_cancelled_and_no_error() {
    let request = request("/waits");
    let client = client(&HttpClientTelemetryLayer::new("slow"));
    let answer = tokio::time::timeout(Duration::from_millis(100), client.oneshot(request));
    assert!(answer.await.is_err());
    assert_counted("slow", "cancelled", 1);
    let span = span("slow");
    let error = span.attribute("error.type");
    assert_eq!((span.status, error), ("unset", Some("cancelled")));
}

#[tokio::test]
async fn whoever_wants_only_the_status_may_drop_the_body() {
    let request = request("/any");
    let client = client(&HttpClientTelemetryLayer::new("glance"));
    drop(client.oneshot(request).await.unwrap());
    assert_counted("glance", "200", 1);
    assert_eq!(span("glance").attribute("error.type"), None);
}

#[tokio::test]
async fn who_panics_with_an_answer_in_hand_has_had_it() {
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
async fn statuses_that_nobody_knows_make_one_series() {
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
    assert!((support::sample(&page, folded) - 400.0).abs() < f64::EPSILON);
}

/// What a peer is told by whoever hands on the headers of a stranger: those of the request as it leaves.
async fn told(layer: HttpClientTelemetryLayer, uri: &str) -> HeaderMap {
    scene();
    let (sender, receiver) = std::sync::mpsc::channel();
    let peer = service_fn(move |request: Request<Body>| {
        sender.send(request.headers().clone()).unwrap();
        ready(Ok::<_, Infallible>(http::Response::new(Body::empty())))
    });
    let mut request = Request::get(uri).body(Body::empty()).unwrap();
    for (name, value) in STRANGERS {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    layer.layer(peer).oneshot(request).await.unwrap();
    receiver.recv().unwrap()
}

/// Headers that came from a stranger.
const STRANGERS: [(&str, &str); 5] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", "theirs=1"),
    ("baggage", "admin=1"),
    ("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"),
    ("uber-trace-id", "1:2:0:1"),
];

#[tokio::test]
async fn a_host_of_others_is_not_told_the_trace_unless_it_is_named() {
    let layer = || HttpClientTelemetryLayer::new("told");
    let theirs = "https://api.example.org/v1";
    assert!(told(layer(), theirs).await.is_empty());
    let named = told(layer().propagate_to("*.example.org").unwrap(), theirs).await;
    let ours = told(layer(), "http://ledger.internal/v1").await;
    for headers in [named, ours] {
        // Our own, and nothing of what was handed on.
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
async fn a_retry_is_a_span_of_its_own_that_says_how_often_it_was_sent_before() {
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
