use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(cancelled)]
    NoLiquidity,
}

fn main() {}
