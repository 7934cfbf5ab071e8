use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(name = "a", name = "b")]
fn create_wallet() {}

fn main() {}
