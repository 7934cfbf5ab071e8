use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
async fn run() -> ! {
    loop {}
}

fn main() {}
