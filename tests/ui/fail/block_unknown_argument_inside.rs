use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    #[telemetry::instrument_business(level = "info")]
    pub fn open(&self) {}
}

fn main() {}
