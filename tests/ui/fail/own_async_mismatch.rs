use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() -> Result<u64, String> {
    Ok("seven")
}

fn main() {}
