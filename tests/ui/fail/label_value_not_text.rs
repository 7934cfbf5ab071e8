use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
enum Asset {
    #[label(btc)]
    Bitcoin,
}

fn main() {}
