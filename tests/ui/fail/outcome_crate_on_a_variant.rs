use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected, crate = telemetry)]
    NoLiquidity,
}

fn main() {}
