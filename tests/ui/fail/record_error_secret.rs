use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, record_error)]
fn open() -> Result<(), telemetry::Secret<String>> {
    Ok(())
}

fn main() {}
