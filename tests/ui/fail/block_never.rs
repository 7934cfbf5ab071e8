use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    pub fn run(&self) -> ! {
        loop {}
    }

    pub fn open(&self) {}
}

fn main() {}
