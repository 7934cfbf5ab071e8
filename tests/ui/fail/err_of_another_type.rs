use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = judge)]
fn create_wallet() -> Result<(), u8> {
    Ok(())
}

fn judge(_: &String) -> telemetry::OutcomeClass {
    telemetry::OutcomeClass::Rejected
}

fn main() {}
