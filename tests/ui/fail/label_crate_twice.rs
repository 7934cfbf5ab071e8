use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
#[label(crate = telemetry, crate = telemetry)]
enum Asset {
    Btc,
}

fn main() {}
