//! How does one trace reach from HTTP over gRPC to the database?
//!
//! A swap: the gateway takes it over HTTP and calls the engine over gRPC; the engine asks the oracle for a price over
//! HTTP and writes the swap to `SQLite`.
//!
//! ```sh
//! cargo run -p examples --bin tonic_swap
//! curl -H 'content-type: application/json' -d '{"from": "ETH", "to": "USDC", "amount": 1000}' http://127.0.0.1:8081/swap
//! ```
//!
//! Reading order: `gateway` (HTTP server, gRPC client), `engine` (gRPC server, HTTP client, database), `proto` (the
//! messages). A real system has one process for each; here they share one, with sockets in between.

#[path = "tonic_swap/engine.rs"]
mod engine;
#[path = "tonic_swap/gateway.rs"]
mod gateway;
#[path = "tonic_swap/proto.rs"]
mod proto;

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use ironcore_telemetry as telemetry;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use telemetry::{Boundary, HttpTelemetryLayer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("ironcore"))?;
    let gateway = TcpListener::bind(gateway_address()?).await?;
    let (oracle, engine) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let price: Uri = format!("http://{}/price", oracle.local_addr()?).parse()?;
    let endpoint = Endpoint::from_shared(format!("http://{}", engine.local_addr()?))?;
    tracing::info!(address = %gateway.local_addr()?, "listening");
    // The gateway ends first, with its requests in flight; then the others have no caller left.
    let served = axum::serve(gateway, gateway::router(&endpoint));
    tokio::select! {
        result = served.with_graceful_shutdown(stop_signal()) => result?,
        result = engine::serve(engine, engine::Engine::new(price).await?) => result?,
        result = axum::serve(oracle, oracle_router()) => result?,
    }
    let report = guard.shutdown(Duration::from_secs(5));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}

/// The oracle: another service of ours, so the trace of its caller goes on in it.
fn oracle_router() -> Router {
    Router::new().route("/price", get(async || "3100")).layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted))
}

fn gateway_address() -> Result<SocketAddr, String> {
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8081".to_owned());
    address.parse().map_err(|error| format!("LISTEN is {address}: {error}; write it as 127.0.0.1:8081"))
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM, which orchestrators send.
async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
}
