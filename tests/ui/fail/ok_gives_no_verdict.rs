use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(ok = |_| true)]
async fn create_wallet() -> Result<(), u8> {
    Ok(())
}

fn main() {}
