use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = |_| telemetry::OutcomeClass::Failed)]
fn create_wallet() {}

fn main() {}
