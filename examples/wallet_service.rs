//! How does a whole service look with `ironcore-telemetry`?
//!
//! `cargo run -p examples --bin wallet_service`, then `curl http://127.0.0.1:8080/api/v1/wallets`.

use ironcore_telemetry as telemetry;
use std::error::Error;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wallet_service::{App, ChainNode, Settings, Store, router};

/// How long requests in flight may take to end after a signal.
const GRACE: Duration = Duration::from_secs(10);
/// How long the connections to the database may take to close.
const CLOSE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = telemetry::Config::new("ironcore").version(env!("CARGO_PKG_VERSION"));
    let guard = telemetry::init_with(config)?;
    let served = serve().await;
    if let Err(error) = &served {
        // Before the shutdown, which still delivers the line and what led to it.
        tracing::error!(error = %error, "the service stopped");
    }
    let report = guard.shutdown(Duration::from_secs(5));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    served
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let store = Store::open(settings.database_url.expose())
        .await
        .map_err(|error| format!("DATABASE_URL cannot be used: {error}"))?;
    let app = App { store: store.clone(), chain: ChainNode::new(settings.chain) };
    let listener =
        TcpListener::bind(settings.listen).await.map_err(|error| format!("LISTEN is {}: {error}", settings.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let server = axum::serve(listener, router(app)).with_graceful_shutdown(stop_signal());
    tokio::select! {
        result = server => result?,
        () = async { stop_signal().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("requests were still in flight at the end of the grace period");
        }
    }
    if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
        tracing::warn!("connections to the database were still in use at the end");
    }
    Ok(())
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM, which orchestrators send.
async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals cannot be caught: only a kill ends the service");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
