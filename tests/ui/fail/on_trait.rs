use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
trait Wallet {
    fn open(&self) {}
}

fn main() {}
