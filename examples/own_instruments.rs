//! How do I add metrics of my own?
//!
//! With instruments of OpenTelemetry: they stand on the same `/metrics` page, which `cargo run -p examples --bin
//! own_instruments` prints.

use ironcore_telemetry as telemetry;
use opentelemetry::{KeyValue, global};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Kept up to date by the service.
static ACTIVE_WALLETS: AtomicU64 = AtomicU64::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    // After `init`: an instrument from before it records nothing. Keep each instrument, do not build it per call.
    let meter = global::meter("wallets");
    let blocks = meter
        .u64_histogram("chain.confirmation.blocks")
        .with_description("Blocks until a transaction was final.")
        .with_boundaries(vec![1.0, 2.0, 3.0, 6.0, 12.0, 64.0])
        .build();
    let _active = meter
        .u64_observable_gauge("wallets.active")
        .with_description("Wallets that were used in the last 30 days.")
        .with_callback(|gauge| gauge.observe(ACTIVE_WALLETS.load(Ordering::Relaxed), &[]))
        .build();

    // Values of attributes become series: take them from a small fixed set, never from ids, addresses or amounts.
    blocks.record(2, &[KeyValue::new("chain", "ethereum")]);
    ACTIVE_WALLETS.store(7, Ordering::Relaxed);
    let page = telemetry::scrape::render();
    let own = page.lines().filter(|line| line.contains("chain_") || line.contains("wallets_active"));
    own.for_each(|line| println!("{line}"));
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
