use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    pub const fn size(&self) -> u64 {
        7
    }

    pub fn open(&self) {}
}

fn main() {}
