use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(fields(id = std::future::ready(1).await))]
async fn create_wallet() -> u64 {
    7
}

fn main() {}
