use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
struct SwapError;

fn main() {}
