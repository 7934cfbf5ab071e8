//! How does a whole service look with `ironcore-telemetry`?
//!
//! Run it with `cargo run --package examples --bin wallet_service`, then ask it: `curl localhost:8080/api/v1/wallets`.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ironcore_telemetry as telemetry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wallet_service::{App, ChainNode, Settings, Store, causes, router};

/// How long requests that are under way may take after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// How long the database may take to close its connections; what a slow one has not written by then it never will.
const CLOSE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    let config = telemetry::Config::new("ironcore").version(env!("CARGO_PKG_VERSION"));
    let guard = match telemetry::init_with(config) {
        Ok(guard) => guard,
        Err(error) => return failure("telemetry did not start", &error),
    };
    let served = serve().await;
    if let Err(error) = &served {
        // Before the shutdown, so that the line still leaves the process.
        tracing::error!(error = causes(error.as_ref()), "the service stopped");
    }
    if let Err(error) = guard.shutdown(Duration::from_secs(5)) {
        // Lost telemetry is worth a word; it is no failure of the service.
        eprintln!("wallet_service: telemetry was lost: {}", causes(&error));
    }
    match served {
        Err(error) => failure("the service stopped", error.as_ref()),
        Ok(()) => ExitCode::SUCCESS,
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let store = Store::open(settings.database_url.expose())
        .await
        .map_err(|error| format!("DATABASE_URL cannot be used: {}", causes(&error)))?;
    let app = App { store: store.clone(), chain: ChainNode::new(settings.chain) };
    let listener =
        TcpListener::bind(settings.listen).await.map_err(|error| format!("LISTEN is {}: {error}", settings.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let server = axum::serve(listener, router(app)).with_graceful_shutdown(stop_signal());
    tokio::select! {
        result = server => result?,
        () = async { stop_signal().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("requests were still under way at the end of the grace time");
        }
    }
    if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
        tracing::warn!("connections to the database were still in use at the end");
    }
    Ok(())
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM (what orchestrators send).
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

/// On stderr for whoever started it: stdout carries the JSON log lines and nothing else.
fn failure(what: &str, error: &dyn Error) -> ExitCode {
    eprintln!("wallet_service: {what}: {}", causes(error));
    ExitCode::FAILURE
}
