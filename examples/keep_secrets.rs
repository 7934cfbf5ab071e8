//! How do I keep secrets out of traces, metrics and logs?
//!
//! Nothing is recorded unless it is named, and a `Secret` cannot be: `cargo run -p examples --bin keep_secrets`

use ironcore_telemetry as telemetry;
use std::error::Error;
use std::time::Duration;
use telemetry::Secret;

/// The argument is not recorded, a property of it is. `fields(phrase = %phrase)` does not compile.
#[telemetry::instrument_business(fields(phrase.words = phrase.expose().split(' ').count()))]
fn import_wallet(phrase: &Secret<String>) -> usize {
    // The line has `"phrase":"[REDACTED]"`.
    tracing::info!(?phrase, "importing a wallet");
    // The one way to the value; search for `expose` when you review. Its memory is cleared when the secret is dropped.
    phrase.expose().len()
}

fn main() -> Result<(), Box<dyn Error>> {
    let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    let phrase = Secret::new("legal winner thank year wave sausage worth useful legal winner thank yellow".to_owned());
    import_wallet(&phrase);
    assert_eq!(format!("{phrase} {phrase:?}"), "[REDACTED] [REDACTED]");
    let report = guard.shutdown(Duration::from_secs(1));
    if !report.is_complete() {
        eprintln!("{report}");
    }
    Ok(())
}
