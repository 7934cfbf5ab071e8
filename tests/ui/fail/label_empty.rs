use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
enum Asset {}

fn main() {}
