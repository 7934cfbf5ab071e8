//! How do I break the metrics of an operation down, by asset for example?
//!
//! A label is an enum, so that no caller can make up a value. `cargo run -p examples --bin labels` prints the counters.

use ironcore_telemetry as telemetry;
use std::error::Error;
use std::time::Duration;
use telemetry::{Label, Outcome};

#[derive(Clone, Copy, Label)]
enum Asset {
    Eth,
    #[label("wbtc")]
    WrappedBtc,
}

/// The outcome and the code of an error are labels too.
#[derive(Outcome)]
enum SwapError {
    #[outcome(rejected)]
    AmountTooSmall,
    #[outcome(failed, code = "no_price")]
    PriceUnavailable,
}

#[telemetry::instrument_business(labels(asset = asset, large = amount > 1_000_000))]
fn execute_swap(asset: Asset, amount: u64) -> Result<u64, SwapError> {
    match (asset, amount) {
        (_, 0) => Err(SwapError::AmountTooSmall),
        (Asset::WrappedBtc, _) => Err(SwapError::PriceUnavailable),
        (Asset::Eth, amount) => Ok(amount * 3_100),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    for (asset, amount) in [(Asset::Eth, 2), (Asset::Eth, 0), (Asset::WrappedBtc, 2_000_000)] {
        let _ = execute_swap(asset, amount);
    }
    // The other combinations are on the page too, at zero.
    let page = telemetry::scrape::render();
    let counters = page.lines().filter(|line| line.starts_with("business_operations_total") && !line.ends_with(" 0"));
    counters.for_each(|line| println!("{line}"));
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
