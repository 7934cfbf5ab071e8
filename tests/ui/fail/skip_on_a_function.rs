use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(skip)]
fn create_wallet() {}

fn main() {}
