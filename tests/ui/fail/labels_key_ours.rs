use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(outcome = hot))]
fn create_wallet(hot: bool) -> bool {
    hot
}

fn main() {}
