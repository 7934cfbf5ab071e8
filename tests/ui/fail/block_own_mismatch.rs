use ironcore_telemetry as telemetry;

struct Wallet;

#[telemetry::instrument_business(wallet)]
impl Wallet {
    pub async fn open(&self) -> Result<u64, String> {
        Ok("seven")
    }
}

fn main() {}
