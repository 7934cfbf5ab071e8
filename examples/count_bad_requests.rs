//! How do I count the requests that an extractor refuses?
//!
//! axum runs `Json`, `Query` and the others before the handler. If one refuses a request (400, 415, 422), the operation
//! of the handler never begins: `http_*` counts the request, `business_*` does not. Take the `Result` of the extractor,
//! and the refusal is an outcome of the operation. `cargo run -p examples --bin count_bad_requests` prints both.

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use ironcore_telemetry as telemetry;
use serde::Deserialize;
use std::error::Error;
use std::time::Duration;
use telemetry::Outcome;
use tower::ServiceExt as _;

#[derive(Deserialize)]
struct Transfer {
    amount: u64,
}

#[derive(Outcome, thiserror::Error, Debug)]
enum TransferError {
    /// A fault of the caller, with a code of its own.
    #[error("the request cannot be read: {0}")]
    #[outcome(rejected, code = "bad_request")]
    BadRequest(#[from] JsonRejection),
    #[error("there is nothing to send")]
    #[outcome(rejected)]
    NothingToSend,
}

impl IntoResponse for TransferError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadRequest(refused) => refused.status(),
            Self::NothingToSend => StatusCode::CONFLICT,
        };
        (status, self.to_string()).into_response()
    }
}

/// Counts what the handler has seen: a body that is no `Transfer` is refused before.
#[telemetry::instrument_business(domain = "transaction", name = "seen")]
async fn seen(Json(transfer): Json<Transfer>) -> Result<StatusCode, TransferError> {
    if transfer.amount == 0 { Err(TransferError::NothingToSend) } else { Ok(StatusCode::ACCEPTED) }
}

/// Counts every request.
#[telemetry::instrument_business(domain = "transaction", name = "sent")]
async fn sent(body: Result<Json<Transfer>, JsonRejection>) -> Result<StatusCode, TransferError> {
    let Json(transfer) = body?;
    if transfer.amount == 0 { Err(TransferError::NothingToSend) } else { Ok(StatusCode::ACCEPTED) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None).log_filter("off"))?;
    let app = Router::new().route("/seen", post(seen)).route("/sent", post(sent));
    for path in ["/seen", "/sent"] {
        for body in [r#"{"amount":7}"#, r#"{"amount":"seven"}"#, "{"] {
            let request =
                Request::post(path).header(header::CONTENT_TYPE, "application/json").body(Body::from(body))?;
            println!("{path} {} for {body}", app.clone().oneshot(request).await?.status());
        }
    }
    let page = telemetry::scrape::render();
    let counters = page.lines().filter(|line| line.starts_with("business_operations_total") && !line.ends_with(" 0"));
    counters.for_each(|line| println!("{line}"));
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
