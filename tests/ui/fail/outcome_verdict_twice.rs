use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected, failed)]
    NoLiquidity,
}

fn main() {}
