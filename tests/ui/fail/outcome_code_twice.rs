use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected, code = "a", code = "b")]
    NoLiquidity,
}

fn main() {}
