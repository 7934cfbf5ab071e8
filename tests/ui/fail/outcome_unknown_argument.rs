use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected, level = "info")]
    NoLiquidity,
}

fn main() {}
