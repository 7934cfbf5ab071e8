use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(rejected, code = "No Liquidity")]
    NoLiquidity,
}

fn main() {}
