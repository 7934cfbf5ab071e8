use ironcore_telemetry as telemetry;

struct Silent;

#[telemetry::instrument_business(wallet, record_error)]
fn open() -> Result<(), Silent> {
    Err(Silent)
}

fn main() {}
