use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(crate = telemetry, crate = telemetry)]
fn create_wallet() {}

fn main() {}
