use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(hot = hot, owner = owner.len()))]
fn create_wallet(hot: bool, owner: &str) -> usize {
    owner.len() + usize::from(hot)
}

fn main() {}
