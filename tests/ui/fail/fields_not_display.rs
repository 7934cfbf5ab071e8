use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(fields(place = %place))]
fn create_wallet(place: (u64, u64)) -> u64 {
    place.0
}

fn main() {}
