use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() -> NoSuch {
    7
}

fn main() {}
