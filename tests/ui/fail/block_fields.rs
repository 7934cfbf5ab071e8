use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet, fields(id = 1))]
impl Wallet {
    pub fn open(&self) {}
}

fn main() {}
