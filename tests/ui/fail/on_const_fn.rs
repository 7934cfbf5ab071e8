use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
const fn size() -> u64 {
    7
}

fn main() {}
