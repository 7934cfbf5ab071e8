use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(hot = if hot { true } else { return 7 }))]
fn create_wallet(hot: bool) -> u64 {
    u64::from(hot)
}

fn main() {}
