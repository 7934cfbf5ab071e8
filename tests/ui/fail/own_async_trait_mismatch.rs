use ironcore_telemetry as telemetry;

struct Wallet;

#[async_trait::async_trait]
trait Open {
    async fn open(&self) -> Result<u64, String>;
}

#[async_trait::async_trait]
impl Open for Wallet {
    #[telemetry::instrument_business(wallet)]
    async fn open(&self) -> Result<u64, String> {
        Ok("seven")
    }
}

fn main() {}
