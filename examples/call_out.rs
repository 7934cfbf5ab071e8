//! How do I call another service, so that its spans are in the same trace?
//!
//! `cargo run -p examples --bin call_out` starts a chain node in the same process and prints the trace id of both
//! sides.

use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ironcore_telemetry as telemetry;
use std::error::Error;
use std::time::Duration;
use telemetry::{Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};
use tower::{Layer, ServiceExt};

/// The layer sends the trace to this machine and to hosts below `.internal`; `propagate_to` adds others.
#[telemetry::instrument_business(domain = "chain")]
async fn read_height(url: &str) -> Result<(), Box<dyn Error>> {
    // A service makes one client for each peer and keeps it: it holds the connections.
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let client = HttpClientTelemetryLayer::new("chain-node").propagate_to("*.nodes.example.org")?.layer(client);
    let response = client.oneshot(Request::get(url).body(Body::empty())?).await?;
    let body = response.into_body().collect().await?.to_bytes();
    println!("here  {}", telemetry::trace_id().unwrap_or_default());
    println!("there {}", String::from_utf8_lossy(&body));
    Ok(())
}

/// `Boundary::Trusted` continues the trace of the caller: for a listener that only your own services reach.
fn chain_node() -> axum::Router {
    let height = get(async || telemetry::trace_id().unwrap_or_default());
    axum::Router::new().route("/height", height).layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/height", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, chain_node()).await });
    read_height(&url).await?;
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
