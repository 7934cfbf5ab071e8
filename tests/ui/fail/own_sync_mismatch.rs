use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
fn create_wallet() -> u64 {
    "seven"
}

fn main() {}
