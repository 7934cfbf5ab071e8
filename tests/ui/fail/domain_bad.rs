use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(domain = "Custody")]
fn create_wallet() {}

fn main() {}
