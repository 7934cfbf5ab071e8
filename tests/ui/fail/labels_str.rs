use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(owner = owner))]
fn create_wallet(owner: &str) -> usize {
    owner.len()
}

fn main() {}
