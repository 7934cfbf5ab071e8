use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet, skip)]
impl Wallet {
    pub fn open(&self) {}
}

fn main() {}
