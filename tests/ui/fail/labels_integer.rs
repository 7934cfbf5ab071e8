use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(amount = amount))]
fn create_wallet(amount: u64) -> u64 {
    amount
}

fn main() {}
