use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    NoLiquidity,
    #[outcome(rejected)]
    TooLate,
    Signer(String),
    Custody { id: u64 },
}

fn main() {}
