use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
enum Asset {
    #[label("bit coin")]
    Bitcoin,
}

fn main() {}
