use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet, fields(user_id))]
fn open(user_id: u64) -> u64 {
    user_id
}

fn main() {}
