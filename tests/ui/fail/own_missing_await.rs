use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() -> u64 {
    open_wallet()
}

#[telemetry::instrument_business]
async fn open_wallet() -> u64 {
    7
}

fn main() {}
