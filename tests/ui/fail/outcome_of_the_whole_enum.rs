use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
#[outcome(failed)]
enum SwapError {
    NoLiquidity,
}

fn main() {}
