use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(ok = judge, ok = judge)]
fn create_wallet() -> Result<u8, ()> {
    Ok(1)
}

fn judge(_: &u8) -> telemetry::OutcomeClass {
    telemetry::OutcomeClass::Rejected
}

fn main() {}
