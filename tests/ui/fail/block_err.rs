use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet, err = judge)]
impl Wallet {
    pub fn open(&self) {}
}

fn main() {}
