use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(hot = no_such))]
fn create_wallet() {}

fn main() {}
