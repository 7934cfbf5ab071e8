use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(ok = |_| telemetry::OutcomeClass::Failed)]
async fn create_wallet() -> () {}

fn main() {}
