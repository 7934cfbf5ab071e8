use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = |_: &u8| telemetry::OutcomeClass::Failed)]
fn create_wallet() -> u64 {
    7
}

fn main() {}
