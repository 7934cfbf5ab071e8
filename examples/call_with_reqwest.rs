//! How do I call a chain node with `reqwest`, over JSON-RPC?
//!
//! `cargo run -p examples --bin call_with_reqwest` starts a chain node in the same process and prints the trace id of
//! both sides. It needs the feature `reqwest`.

use axum::routing::post;
use axum::{Json, Router};
use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;
use telemetry::client::ReqwestClient;
use telemetry::{Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};

/// Made once and kept: it holds the connections. TLS, timeouts and default headers are set as ever.
fn chain_node() -> Result<ReqwestClient, Box<dyn Error>> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5));
    let layer = HttpClientTelemetryLayer::new("eth-node").json_rpc(["eth_blockNumber"]);
    Ok(layer.propagate_to("*.nodes.example.org")?.reqwest(http)?)
}

/// An error in the body of a response is the operation's to judge: as an `Err` it is `failed`.
#[telemetry::instrument_business(domain = "chain")]
async fn read_height(node: &ReqwestClient, url: &str) -> Result<Value, Box<dyn Error + Send + Sync>> {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
    let answer: Value = node.send(|http| http.post(url).json(&call)).await?.error_for_status()?.json().await?;
    println!("here  {}", telemetry::trace_id().unwrap_or_default());
    match answer.get("result") {
        Some(result) => Ok(result.clone()),
        None => Err(answer["error"]["message"].to_string().into()),
    }
}

/// `Boundary::Trusted` continues the trace of the caller: for a listener that only your own services reach.
fn server() -> Router {
    let height = post(async || Json(json!({ "id": 1, "result": telemetry::trace_id() })));
    Router::new().route("/", height).layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, server()).await });
    let there = read_height(&chain_node()?, &url).await.map_err(|error| error as Box<dyn Error>)?;
    println!("there {}", there.as_str().unwrap_or_default());
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
