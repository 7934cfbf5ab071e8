use ironcore_telemetry as telemetry;

#[telemetry::instrument_business(wallet)]
struct Wallet;

fn main() {}
