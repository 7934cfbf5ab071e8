use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(forward)]
    Custody(u8, u8),
}

fn main() {}
