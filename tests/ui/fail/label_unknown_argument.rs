use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
#[label(rename = "asset")]
enum Asset {
    Bitcoin,
}

fn main() {}
