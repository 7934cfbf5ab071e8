use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business]
impl Wallet {
    pub fn open(&self) {}

    pub fn close_wallet(&self) {}
}

fn main() {}
