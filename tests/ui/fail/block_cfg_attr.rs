use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    #[cfg_attr(all(), telemetry::instrument_business(skip))]
    pub fn open(&self) {}
}

fn main() {}
