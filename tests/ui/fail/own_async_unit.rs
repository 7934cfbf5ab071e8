use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() {
    "seven"
}

fn main() {}
