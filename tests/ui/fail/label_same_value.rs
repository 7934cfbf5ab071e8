use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
enum Asset {
    Btc,
    #[label("btc")]
    Bitcoin,
}

fn main() {}
