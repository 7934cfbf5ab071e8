use ironcore_telemetry as telemetry;

#[derive(telemetry::Label)]
enum Asset {
    Btc,
    Token(String),
}

fn main() {}
