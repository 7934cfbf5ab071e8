//! The access line of a request, or a call, whose handler panicked.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use ironcore_telemetry::testing::Capture;
use ironcore_telemetry::{GrpcTelemetryLayer, HttpTelemetryLayer};
use serde_json::Value;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use tower::{Layer as _, ServiceExt as _, service_fn};

/// The access lines of a request, whether it panics or not.
async fn access_lines(target: &str, request: impl Future) -> Vec<Value> {
    let capture = Capture::new();
    let _ = AssertUnwindSafe(capture.run_async(request)).catch_unwind().await;
    let lines = capture.log_lines().into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    lines.filter(|line| line["target"] == target).collect()
}

fn app() -> Router {
    Router::new()
        .route("/panics", get(async || -> &'static str { panic!("planned") }))
        .route("/breaks", get(async || Body::from_stream(breaks())))
        .route("/fails", get(async || http::StatusCode::INTERNAL_SERVER_ERROR))
        .layer(HttpTelemetryLayer::new())
}

/// A body that panics behind its first part.
fn breaks() -> impl futures_util::Stream<Item = Result<&'static str, Infallible>> + Send + 'static {
    let mut parts = 0;
    futures_util::stream::poll_fn(move |_| {
        parts += 1;
        assert!(parts <= 1, "planned");
        std::task::Poll::Ready(Some(Ok("one")))
    })
}

#[tokio::test]
async fn the_line_of_a_request_whose_handler_panicked_is_an_error() {
    for (path, level) in [("/panics", "ERROR"), ("/breaks", "ERROR"), ("/fails", "INFO")] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = async { app().oneshot(request).await.unwrap().into_body().collect().await };
        let lines = access_lines("http_access", answer).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((&lines[0]["level"], &lines[0]["status"]), (&level.into(), &500.into()), "{path}");
        assert!(lines[0]["trace_id"].is_string());
    }
}

/// What is thrown, and throws once more when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload panics too");
    }
}

#[tokio::test]
async fn a_name_of_a_route_whose_panic_panics_again_never_ends_the_request() {
    let names = HttpTelemetryLayer::new().route_by(|_| std::panic::panic_any(Bomb));
    let service = names.layer(service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty()))));
    let request = Request::get("/unmatched").body(Body::empty()).unwrap();
    let lines = access_lines("http_access", async { service.oneshot(request).await.unwrap().collect().await }).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[0]["status"]), (&"INFO".into(), &200.into()));
}

#[tokio::test]
async fn the_line_of_a_call_whose_handler_panicked_is_an_error() {
    for (is_panic, level, code) in [(true, "ERROR", "INTERNAL"), (false, "INFO", "INTERNAL")] {
        let service = GrpcTelemetryLayer::new().layer(service_fn(move |_| async move {
            assert!(!is_panic, "planned");
            let answer = Response::builder().header("grpc-status", "13");
            Ok::<_, Infallible>(answer.body(Body::empty()).unwrap())
        }));
        let call = Request::post("/tests.Probe/Panics").body(Body::empty()).unwrap();
        let lines = access_lines("grpc_access", async { service.oneshot(call).await.map(drop) }).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!((&lines[0]["level"], &lines[0]["code"]), (&level.into(), &code.into()));
    }
}
