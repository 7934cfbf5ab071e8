use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(crate = no_such)]
fn create_wallet() {}

fn main() {}
