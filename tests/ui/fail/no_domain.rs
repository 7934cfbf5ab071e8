use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
fn do_something() {}

fn main() {}
