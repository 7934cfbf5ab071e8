use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet, ok = judge)]
impl Wallet {
    pub fn open(&self) {}
}

fn main() {}
