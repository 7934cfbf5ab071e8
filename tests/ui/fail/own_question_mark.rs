use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet(text: &str) -> Result<u64, std::fmt::Error> {
    let parsed: u64 = text.parse()?;
    Ok(parsed)
}

fn main() {}
