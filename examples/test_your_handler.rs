//! How do I test what my handler emits?
//!
//! Run it with `cargo test -p examples --test test_your_handler`.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use ironcore_telemetry as telemetry;
use telemetry::testing::Capture;
use tower::ServiceExt;

#[telemetry::instrument_business]
async fn create_wallet(body: String) -> StatusCode {
    tracing::info!(bytes = body.len(), "creating a wallet");
    if body.is_empty() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CREATED }
}

fn app() -> Router {
    Router::new().route("/wallets", post(create_wallet)).layer(telemetry::HttpTelemetryLayer::new())
}

async fn send(body: &'static str) -> StatusCode {
    let request = Request::post("/wallets").body(Body::from(body)).expect("a request");
    app().oneshot(request).await.expect("an answer").status()
}

#[tokio::test]
async fn a_wallet_is_one_request_one_operation_and_one_line() {
    let capture = Capture::new();
    assert_eq!(capture.run_async(send("a mnemonic that stays here")).await, StatusCode::CREATED);
    capture.assert_operation("wallet.create", "ok");
    assert_eq!(capture.value("http_requests_total", &[("route", "/wallets"), ("status", "201")]), 1);
    capture.assert_absent("mnemonic that stays here");
    capture.assert_no_secrets();
    let spans = capture.spans();
    assert_eq!(spans[0].parent_id.as_ref(), Some(&spans[1].span_id), "the operation is inside the request");
}

#[tokio::test]
async fn an_empty_body_is_rejected() {
    let capture = Capture::new();
    assert_eq!(capture.run_async(send("")).await, StatusCode::UNPROCESSABLE_ENTITY);
    capture.assert_operation("wallet.create", "rejected");
    capture.assert_label_within("business_operations_total", "code", &["", "422", "error"]);
}
