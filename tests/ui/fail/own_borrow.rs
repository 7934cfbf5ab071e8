use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
fn create_wallet(owner: String) -> usize {
    drop(owner);
    owner.len()
}

fn main() {}
