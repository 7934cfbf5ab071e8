use ironcore_telemetry as telemetry;

#[derive(telemetry::Outcome)]
union SwapError {
    code: u8,
}

fn main() {}
