use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
mod wallet {}

fn main() {}
