use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
enum SwapError {
    #[outcome(forward)]
    Custody(std::fmt::Error),
}

fn main() {}
