use ironcore_telemetry as telemetry;

#[telemetry::instrument_business("wallet")]
fn create_wallet() {}

fn main() {}
