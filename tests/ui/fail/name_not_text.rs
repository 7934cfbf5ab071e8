use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(name = create)]
fn create_wallet() {}

fn main() {}
