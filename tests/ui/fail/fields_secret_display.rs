use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(fields(seed = %seed))]
fn import_wallet(seed: &telemetry::Secret<String>) -> usize {
    seed.expose().len()
}

fn main() {}
