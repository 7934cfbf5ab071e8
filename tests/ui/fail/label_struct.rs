use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
struct Asset;

fn main() {}
