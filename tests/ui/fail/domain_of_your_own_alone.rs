use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(refund)]
fn start() {}

fn main() {}
