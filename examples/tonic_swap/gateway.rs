//! The gateway: anyone may call it, so it continues no trace of a caller.

use crate::proto::{ExecuteReply, ExecuteRequest, SwapClient};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use telemetry::client::GrpcClientTelemetryService;
use telemetry::{GrpcClientTelemetryLayer, HttpTelemetryLayer};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tower::Layer;

type Engine = SwapClient<GrpcClientTelemetryService<Channel>>;

pub(crate) fn router(engine: &Endpoint) -> Router {
    // The engine is on this machine, so it gets the trace context; for another host add `.propagate_to(…)?`.
    let layer = GrpcClientTelemetryLayer::new("swap-engine", engine.uri());
    let client: Engine = SwapClient::new(layer.layer(engine.connect_lazy()));
    Router::new()
        .route("/swap", post(swap))
        .route("/health", get(async || "ok"))
        .layer(HttpTelemetryLayer::new().skip("/health"))
        .with_state(client)
}

async fn swap(
    State(mut engine): State<Engine>,
    Json(order): Json<ExecuteRequest>,
) -> Result<Json<ExecuteReply>, (StatusCode, Json<Value>)> {
    let refusal = match engine.execute(Request::new(order)).await {
        Ok(reply) => return Ok(Json(reply.into_inner())),
        Err(status) => status,
    };
    // The caller gets the reason if it can correct it; else an id to quote.
    let (status, message) = match refusal.code() {
        Code::InvalidArgument | Code::OutOfRange => (StatusCode::UNPROCESSABLE_ENTITY, refusal.message()),
        _ => (StatusCode::BAD_GATEWAY, "the swap was not executed"),
    };
    let body = json!({ "error": message, "request_id": telemetry::trace_id() });
    Err((status, Json(body)))
}
