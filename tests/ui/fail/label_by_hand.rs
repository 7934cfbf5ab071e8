use ironcore_telemetry as telemetry;

struct Asset(usize);

impl telemetry::Label for Asset {
    const VALUES: &'static [&'static str] = &["btc", "eth"];

    fn index(&self) -> usize {
        self.0
    }
}

fn main() {}
