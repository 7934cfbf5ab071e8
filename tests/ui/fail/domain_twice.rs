use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, domain = "custody")]
fn create_wallet() {}

fn main() {}
