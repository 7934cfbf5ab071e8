use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(code = "no_liquidity")]
    NoLiquidity,
}

fn main() {}
