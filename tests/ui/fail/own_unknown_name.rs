use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() -> u64 {
    no_such
}

fn main() {}
