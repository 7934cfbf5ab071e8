#![deny(unused_variables)]

use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    pub fn open(&self, owner: u64) {}
}

fn main() {}
