//! How does a job that runs later stay connected to the request that made it?
//!
//! The request saves its context beside the job. The first attempt continues the trace of the request; a retry is a
//! trace of its own with a link to it. Compare the trace ids in the log lines: `cargo run -p examples --bin outbox_job`

use ironcore_telemetry as telemetry;
use std::error::Error;
use std::time::Duration;
use telemetry::saved_context::SavedContext;

/// A row of the outbox table.
struct Job {
    message: String,
    /// Any text column is wide enough: at most 1,100 characters.
    context: String,
}

#[telemetry::instrument_business]
async fn settle_payment() -> Job {
    tracing::info!("the payment is settled");
    Job { message: "payment settled".to_owned(), context: SavedContext::current().to_string() }
}

#[telemetry::instrument_business(domain = "outbox")]
async fn publish(message: &str, attempt: u32) -> Result<(), std::io::Error> {
    tracing::info!(message_bytes = message.len(), attempt, "publishing");
    if attempt == 1 { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    let job = settle_payment().await;

    // Later, perhaps in another process: the worker that reads the outbox.
    let saved: SavedContext = job.context.parse()?;
    for attempt in 1..=3 {
        let published = saved.attempt(attempt).run("outbox.publish", publish(&job.message, attempt)).await;
        if published.is_ok() {
            break;
        }
    }
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
