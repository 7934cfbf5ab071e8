use ironcore_telemetry as telemetry;

trait Wallet {
    #[telemetry::instrument_business(wallet)]
    fn open(&self);
}

fn main() {}
