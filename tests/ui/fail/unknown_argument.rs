use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, level = "info")]
fn create_wallet() {}

fn main() {}
