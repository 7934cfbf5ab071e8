use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(domain = refund)]
fn start() {}

fn main() {}
