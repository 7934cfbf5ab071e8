use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(labels(a = hot, b = hot, c = hot, d = hot, e = hot))]
fn create_wallet(hot: bool) -> bool {
    hot
}

fn main() {}
