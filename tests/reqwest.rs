//! The HTTP client layer around a client of `reqwest`, against servers on this machine.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::routing::{any, get};
use axum::{Json, Router};
use ironcore_telemetry::client::{JsonRpcMethod, ReqwestClient, Resends};
use ironcore_telemetry::testing::{Capture, Span};
use ironcore_telemetry::{HttpClientTelemetryLayer, TelemetryGuard};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Request, Url};
use serde_json::{Value, json};
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::{Receiver, start_recording};
use tower::ServiceExt as _;
use tower::retry::{Policy as RetryPolicy, Retry};

/// A host that may have the trace context, and one that may not; both are this machine.
const LEDGER: &str = "ledger.example.org";
const STRANGER: &str = "stranger.example.com";

/// A server of its own, which shows what it has received.
fn server() -> SocketAddr {
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
        let waits = get(std::future::pending::<()>);
        let flaky = get(async || {
            static CALLS: AtomicU32 = AtomicU32::new(0);
            if CALLS.fetch_add(1, Ordering::Relaxed) < 2 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        });
        let app = Router::new()
            .route("/redirect/{status}", any(redirect))
            .route("/status/{status}", any(async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap()))
            .route("/waits", waits)
            .route("/flaky", flaky)
            .route("/long", get(async || "0123456789".repeat(100_000)))
            .fallback(show);
        support::serve(async move |listener| axum::serve(listener, app).await.unwrap())
    });
    *SERVER
}

/// A second one, so that a redirect leads to another server.
fn other_server() -> SocketAddr {
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
        let app = Router::new().route("/redirect/{status}", any(redirect)).fallback(show);
        support::serve(async move |listener| axum::serve(listener, app).await.unwrap())
    });
    *SERVER
}

async fn redirect(Path(status): Path<u16>, RawQuery(to): RawQuery) -> (StatusCode, [(header::HeaderName, String); 1]) {
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, to.unwrap())])
}

async fn show(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Json(json!({ "method": method.as_str(), "path": uri.path(), "headers": headers, "body": body }))
}

/// What is configured of a client, beside its redirects.
fn builder() -> ClientBuilder {
    Client::builder().no_proxy().resolve(LEDGER, server()).resolve(STRANGER, other_server())
}

/// The layer, in a process with telemetry: the format of the context is global to it.
fn layer() -> HttpClientTelemetryLayer {
    static TELEMETRY: LazyLock<(Receiver, TelemetryGuard)> = LazyLock::new(|| start_recording("reqwest_test"));
    LazyLock::force(&TELEMETRY);
    HttpClientTelemetryLayer::new("ledger").propagate_to(LEDGER).unwrap()
}

fn client() -> ReqwestClient {
    layer().reqwest(builder()).unwrap()
}

fn ledger(path: &str) -> Url {
    format!("http://{LEDGER}:{}{path}", server().port()).parse().unwrap()
}

fn stranger(path: &str) -> Url {
    format!("http://{STRANGER}:{}{path}", other_server().port()).parse().unwrap()
}

fn redirect_to(status: u16, url: &Url) -> String {
    format!("/redirect/{status}?{url}")
}

/// The values of a header that the server has shown.
fn shown<'a>(answer: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = answer["headers"].as_array().unwrap().iter();
    headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap()).collect()
}

fn counted(capture: &Capture, status: &str) -> i64 {
    let labels = [("peer", "ledger"), ("method", "GET"), ("status", status)];
    assert_eq!(capture.value("http_client_requests_in_flight", &[("peer", "ledger")]), 0);
    capture.value("http_client_requests_total", &labels)
}

/// The only span.
#[track_caller]
fn span(capture: &Capture) -> Span {
    let mut spans = capture.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[tokio::test]
async fn a_request_is_a_client_span_and_its_context_reaches_a_declared_host() {
    let capture = Capture::new();
    let url = ledger("/height?key=hunter2");
    let answer = async {
        let response = client().send(|http| http.get(url.clone()).header("traceparent", "not ours")).await.unwrap();
        assert_eq!((response.url(), response.status()), (&url, StatusCode::OK));
        assert!(capture.spans().is_empty(), "a request lasts until the end of its body");
        response.json::<Value>().await.unwrap()
    };
    let answer = capture.run_async(answer).await;
    let span = span(&capture);
    assert_eq!((span.name.as_str(), span.is_error), ("GET", false));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("service.peer.name", "ledger"),
        ("server.address", LEDGER),
        ("url.scheme", "http"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
    let context = format!("00-{}-{}-", span.trace_id, span.span_id);
    assert!(matches!(shown(&answer, "traceparent")[..], [sent] if sent.starts_with(&context)), "{answer}");
    assert!(!format!("{span:?}").contains("hunter2") && !format!("{span:?}").contains("/height"));
    assert_eq!(counted(&capture, "200"), 1);
}

#[tokio::test]
async fn a_host_that_is_not_declared_receives_no_context() {
    let capture = Capture::new();
    let answer = async {
        let response = client().send(|http| http.get(stranger("/")).header("traceparent", "anothers")).await.unwrap();
        response.json::<Value>().await.unwrap()
    };
    let answer = capture.run_async(answer).await;
    assert!(shown(&answer, "traceparent").is_empty());
    assert_eq!(span(&capture).attribute("server.address"), Some("ledger"));
}

#[tokio::test]
async fn a_redirect_sends_no_context_to_a_stranger() {
    // `reqwest` alone hands on what it does not know to be sensitive.
    let to = redirect_to(307, &stranger("/elsewhere"));
    let plain = builder().build().unwrap().get(ledger(&to)).header("traceparent", "ours").send().await.unwrap();
    assert_eq!(plain.url(), &stranger("/elsewhere"));
    assert_eq!(shown(&plain.json().await.unwrap(), "traceparent"), ["ours"]);

    for status in [301, 302, 303, 307, 308] {
        let capture = Capture::new();
        let to = redirect_to(status, &stranger("/elsewhere"));
        let response = capture.run_async(async { client().send(|http| http.get(ledger(&to))).await.unwrap() }).await;
        assert_eq!((response.status().as_u16(), response.url()), (status, &ledger(&to)));
        assert_eq!(response.headers()[header::LOCATION], stranger("/elsewhere").as_str());
        drop(response);
        let span = span(&capture);
        assert_eq!(span.attribute("http.response.status_code"), Some(&*status.to_string()));
        assert!(!span.is_error);
    }
}

#[tokio::test]
async fn other_redirects_are_followed_as_reqwest_follows_them() {
    let here: Url = format!("http://{}/there", other_server()).parse().unwrap();
    let hops = [
        // To the same host, to another one that may have the context, and from a stranger: nothing can get lost.
        (ledger(&redirect_to(307, &ledger("/there"))), ledger("/there"), true),
        (ledger(&redirect_to(302, &here)), here, true),
        (stranger(&redirect_to(307, &stranger("/there"))), stranger("/there"), false),
        (stranger(&redirect_to(307, &ledger("/there"))), ledger("/there"), false),
    ];
    for (from, to, has_context) in hops {
        let capture = Capture::new();
        let answer = async {
            let response = client().send(|http| http.post(from.clone()).body("7")).await.unwrap();
            assert_eq!(response.url(), &to);
            response.json::<Value>().await.unwrap()
        };
        let answer = capture.run_async(answer).await;
        assert_eq!((&answer["path"], !shown(&answer, "traceparent").is_empty()), (&json!("/there"), has_context));
        // The same request, with the same client without a layer.
        let plain = builder().build().unwrap().post(from).body("7").send().await.unwrap();
        let plain = plain.json::<Value>().await.unwrap();
        for key in ["method", "body", "path"] {
            assert_eq!(answer[key], plain[key], "{key}");
        }
        assert_eq!(span(&capture).attribute("http.response.status_code"), Some("200"));
    }
}

#[tokio::test]
async fn a_policy_of_the_user_decides_on_what_keeps_the_context_where_it_may_be() {
    let capture = Capture::new();
    let none = layer().reqwest_with(builder(), Policy::none()).unwrap();
    let to = redirect_to(307, &ledger("/there"));
    let response = capture.run_async(async { none.send(|http| http.get(ledger(&to))).await.unwrap() }).await;
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    // The default ends a loop, with the error of reqwest.
    let client = layer().reqwest(builder()).unwrap();
    let around = "/redirect/307?/redirect/307?";
    let looped = capture.run_async(async { client.send(|http| http.get(ledger(around))).await }).await;
    assert!(looped.is_err_and(|error| error.is_redirect()));
}

#[tokio::test]
async fn every_ending_is_recorded_and_nothing_stays_in_flight() {
    let absent: Url = "http://127.0.0.1:9/".parse().unwrap();
    let late = Duration::from_millis(100);
    // Path or address, its own timeout, status of the metric, error of the span.
    let cases = [
        (ledger("/status/204"), None, "204", None),
        (ledger("/status/404"), None, "404", Some("404")),
        (ledger("/status/503"), None, "503", Some("503")),
        (ledger("/waits"), Some(late), "error", Some("no_response")),
        (absent, None, "error", Some("no_response")),
    ];
    for (url, timeout, status, error) in cases {
        let capture = Capture::new();
        let answer = async {
            let mut request = Request::new(Method::GET, url.clone());
            *request.timeout_mut() = timeout;
            let response = client().execute(request).await?;
            response.bytes().await
        };
        let answer = capture.run_async(answer).await;
        assert_eq!(answer.is_err(), status == "error", "{url}");
        assert_eq!(answer.is_err_and(|error| error.is_timeout()), timeout.is_some(), "{url}");
        assert_eq!(counted(&capture, status), 1, "{url}");
        let span = span(&capture);
        assert_eq!((span.attribute("error.type"), span.is_error), (error, error.is_some()), "{url}");
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled_and_a_body_that_is_dropped_keeps_its_status() {
    let capture = Capture::new();
    let given_up = async {
        let send = client().send(|http| http.get(ledger("/waits")));
        assert!(tokio::time::timeout(Duration::from_millis(100), send).await.is_err());
    };
    capture.run_async(given_up).await;
    assert_eq!(counted(&capture, "cancelled"), 1);
    let given_up = span(&capture);
    assert_eq!((given_up.attribute("error.type"), given_up.is_error), (None, false));

    let capture = Capture::new();
    capture.run_async(async { drop(client().send(|http| http.get(ledger("/long"))).await.unwrap()) }).await;
    assert_eq!(counted(&capture, "200"), 1);
    assert!(!span(&capture).is_error);
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_an_error_and_no_request() {
    let capture = Capture::new();
    let answer = capture.run_async(async { client().send(|http| http.get("no address")).await }).await;
    assert!(answer.is_err_and(|error| error.is_builder()));
    assert!(capture.spans().is_empty());
}

#[tokio::test]
async fn a_body_is_streamed_to_its_end_and_keeps_its_length() {
    let capture = Capture::new();
    let read = async {
        let mut response = client().send(|http| http.get(ledger("/long"))).await.unwrap();
        assert_eq!(response.content_length(), Some(1_000_000));
        let mut bytes = 0;
        while let Some(part) = response.chunk().await.unwrap() {
            bytes += part.len();
            assert_eq!(capture.spans().is_empty(), bytes < 1_000_000, "{bytes}");
        }
    };
    capture.run_async(read).await;
    assert_eq!(counted(&capture, "200"), 1);
}

/// Sends a request again as long as the peer is unavailable.
#[derive(Clone)]
struct WhileUnavailable;

impl RetryPolicy<Request, reqwest::Response, reqwest::Error> for WhileUnavailable {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request,
        answer: &mut Result<reqwest::Response, reqwest::Error>,
    ) -> Option<Self::Future> {
        let status = answer.as_ref().ok()?.status();
        (status == StatusCode::SERVICE_UNAVAILABLE).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        request.try_clone()
    }
}

#[tokio::test]
async fn a_retry_of_an_outer_layer_is_a_span_of_its_own_with_the_number_of_earlier_attempts() {
    let capture = Capture::new();
    let answer = async {
        let mut request = http::Request::get(ledger("/flaky").as_str()).body("").unwrap();
        request.extensions_mut().insert(Resends::default());
        let retry = Retry::new(WhileUnavailable, client());
        retry.oneshot(request.try_into().unwrap()).await.unwrap().bytes().await.unwrap();
    };
    capture.run_async(answer).await;
    let spans = capture.spans();
    let resends: Vec<_> = spans.iter().map(|span| span.attribute("http.request.resend_count")).collect();
    assert_eq!(resends, [None, Some("1"), Some("2")]);
    assert_eq!((counted(&capture, "503"), counted(&capture, "200")), (2, 1));
}

#[tokio::test]
async fn a_call_of_json_rpc_has_the_name_of_a_declared_method() {
    let node = layer().json_rpc(["eth_blockNumber", "eth_getBalance"]).reqwest(builder()).unwrap();
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber" }]);
    let one = |method: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": ["0xc0ffee"] });
    for (body, name) in [
        (one("eth_blockNumber"), Some("eth_blockNumber")),
        (one("eth_getBalance"), Some("eth_getBalance")),
        (one("personal_unlockAccount"), None),
        (batch, None),
    ] {
        let capture = Capture::new();
        let answer = async {
            let response = node.send(|http| http.post(ledger("/v3/hunter2")).json(&body)).await.unwrap();
            response.json::<Value>().await.unwrap()
        };
        let answer = capture.run_async(answer).await;
        // The body is sent as it was.
        assert_eq!(serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap(), body);
        let span = span(&capture);
        assert_eq!(span.name, name.unwrap_or("jsonrpc"));
        assert_eq!((span.attribute("rpc.system.name"), span.attribute("rpc.method")), (Some("jsonrpc"), name));
        let text = format!("{span:?}");
        assert!(!text.contains("0xc0ffee") && !text.contains("personal") && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn the_method_of_a_stream_or_of_another_client_is_taken_from_the_request() {
    let node = layer().json_rpc(["eth_call"]).reqwest(builder()).unwrap();
    for (method, name) in [("eth_call", "eth_call"), ("0xc0ffee", "jsonrpc")] {
        let capture = Capture::new();
        let answer = async {
            let body = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("{}")]));
            let mut request = http::Request::post(ledger("/").as_str()).body(body).unwrap();
            request.extensions_mut().insert(JsonRpcMethod::new(method));
            node.execute(request.try_into().unwrap()).await.unwrap().bytes().await.unwrap();
        };
        capture.run_async(answer).await;
        assert_eq!(span(&capture).name, name);
    }
}
