//! How do I configure telemetry in code?
//!
//! Code wins over the environment, the environment over the default. The first log line shows every setting in force
//! and where it came from: `cargo run -p examples --bin custom_config`

use ironcore_telemetry as telemetry;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use telemetry::{Config, Sampling, Secret};

fn main() -> Result<(), Box<dyn Error>> {
    let token = Secret::new(std::env::var("COLLECTOR_TOKEN").unwrap_or_default());
    let config = Config::new("wallets")
        .version(env!("CARGO_PKG_VERSION"))
        .deployment_environment("staging")
        .attribute("service.namespace", "ironcore")
        .endpoint("http://127.0.0.1:4317")
        .header("x-collector-token", token)
        .export_timeout(Duration::from_secs(3))
        .sampling(Sampling::Ratio(0.1))
        .sampling_for("swap", Sampling::Always)
        .metrics_listener(SocketAddr::from(([127, 0, 0, 1], 0)))
        .log_filter("info,opentelemetry=warn,business=debug");
    let guard = telemetry::init_with(config)?;

    // A value that cannot be used is an error that lists the allowed values.
    if let Err(error) = telemetry::init_with(Config::new("wallets").sampling(Sampling::Ratio(2.0))) {
        println!("{error}");
    }
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
