use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(err = no_such)]
fn create_wallet() -> Result<u64, u8> {
    Ok(1)
}

fn main() {}
