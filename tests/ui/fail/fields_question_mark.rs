use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(fields(id = text.parse::<u64>()?))]
fn create_wallet(text: &str) -> Result<usize, std::num::ParseIntError> {
    Ok(text.len())
}

fn main() {}
