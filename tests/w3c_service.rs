//! The service that the W3C's conformance suite for trace context drives: it sends the requests that the body of
//! `POST /test` lists, in the trace of that request.
//!
//! ```sh
//! cargo run -p tests --example w3c_service -- --listen 127.0.0.1:5000
//! curl -H 'content-type: application/json' -d '[{"url": "http://127.0.0.1:5000/echo", "arguments": []}]' http://127.0.0.1:5000/test
//! ```

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, Uri, header};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use ironcore_telemetry::{self as telemetry, Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

/// The limit of one call: the suite itself waits for a response.
const PATIENCE: Duration = Duration::from_secs(5);

type Http = BoxCloneSyncService<Request<Body>, StatusCode, String>;

/// One request that the suite wants sent.
#[derive(Deserialize)]
struct Order {
    #[serde(with = "address")]
    url: Uri,
    arguments: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = listen_address()?;
    let guard = telemetry::init()?;
    let app = Router::new()
        .route("/test", post(send_all))
        .route("/echo", post(async |body: Bytes| body))
        // The suite is a caller that we trust: its trace goes on here.
        .layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted))
        .with_state(client());
    let listener = TcpListener::bind(listen).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    let report = guard.shutdown(Duration::from_secs(5));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}

fn listen_address() -> Result<SocketAddr, String> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(SocketAddr::from(([127, 0, 0, 1], 5000))),
        ["--listen", address] => {
            address.parse().map_err(|error| format!("--listen {address}: {error}; write it as 127.0.0.1:5000"))
        }
        _ => Err("usage: w3c_service [--listen ADDRESS:PORT]".to_owned()),
    }
}

/// A client that records each request as a span and sends the trace along to this machine.
fn client() -> Http {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let recorded = HttpClientTelemetryLayer::new("harness").layer(client);
    let send = service_fn(move |request: Request<Body>| {
        let sent = recorded.clone().oneshot(request);
        async move {
            let response = sent.await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = response.into_body().collect().await;
            body.map(|_| status).map_err(|error| error.to_string())
        }
    });
    BoxCloneSyncService::new(send)
}

async fn send_all(
    State(http): State<Http>,
    Json(orders): Json<Vec<Order>>,
) -> Result<Json<Value>, (StatusCode, String)> {
    for order in orders {
        let request = Request::builder()
            .method(Method::POST)
            .uri(order.url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(order.arguments.to_string()))
            .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        let sent = tokio::time::timeout(PATIENCE, http.clone().oneshot(request)).await;
        let response = sent.unwrap_or_else(|_| Err("no response in time".to_owned()));
        response.map_err(|error| (StatusCode::BAD_GATEWAY, error))?;
    }
    Ok(Json(Value::Null))
}

/// Reads a [`Uri`] from a JSON string.
mod address {
    use axum::http::Uri;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(json: D) -> Result<Uri, D::Error> {
        String::deserialize(json)?.parse().map_err(D::Error::custom)
    }
}
