use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
#[outcome(crate = telemetry, crate = telemetry)]
enum SwapError {
    #[outcome(rejected)]
    NoLiquidity,
}

fn main() {}
