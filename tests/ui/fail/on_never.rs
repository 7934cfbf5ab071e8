use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
fn run() -> ! {
    loop {}
}

fn main() {}
