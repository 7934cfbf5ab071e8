use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = judge, err = judge)]
fn create_wallet() -> Result<(), u8> {
    Ok(())
}

fn judge(_: &u8) -> telemetry::OutcomeClass {
    telemetry::OutcomeClass::Rejected
}

fn main() {}
