use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = |_| "rejected")]
fn create_wallet() -> Result<(), u8> {
    Ok(())
}

fn main() {}
