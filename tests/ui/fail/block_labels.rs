use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet, labels(hot = true))]
impl Wallet {
    pub fn open(&self) {}
}

fn main() {}
