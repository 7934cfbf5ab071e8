use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(fields(id))]
fn create_wallet(id: u64) -> u64 {
    id
}

fn main() {}
