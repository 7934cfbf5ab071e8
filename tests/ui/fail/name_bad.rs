use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(name = "create wallet")]
fn create_wallet() {}

fn main() {}
