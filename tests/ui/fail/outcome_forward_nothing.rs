use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(forward)]
    NoLiquidity,
}

fn main() {}
