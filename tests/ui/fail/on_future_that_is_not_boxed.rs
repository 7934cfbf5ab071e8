use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
fn open() -> impl Future<Output = u64> {
    async { 7 }
}

fn main() {}
