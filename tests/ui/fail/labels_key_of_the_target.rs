use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(environment = hot))]
fn create_wallet(hot: bool) -> bool {
    hot
}

fn main() {}
