use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, err)]
fn open() -> Result<(), String> {
    Ok(())
}

fn main() {}
