//! What is the minimum for a trace, metrics and log lines?

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use ironcore_telemetry as telemetry;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guard = telemetry::init()?;
    let app = Router::new().route("/api/v1/wallets", post(create_wallet)).layer(telemetry::HttpTelemetryLayer::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?;
    let report = guard.shutdown(Duration::from_secs(5));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM, which orchestrators send.
async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
}

#[telemetry::instrument_business]
async fn create_wallet() -> StatusCode {
    tracing::info!("a wallet was created");
    StatusCode::CREATED
}
