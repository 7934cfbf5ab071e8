use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    #[telemetry::instrument_business(name = "a")]
    #[telemetry::instrument_business(name = "b")]
    pub fn open(&self) {}
}

fn main() {}
