use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, skip(id))]
fn open(id: u64) -> u64 {
    id
}

fn main() {}
