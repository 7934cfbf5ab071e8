use ironcore_telemetry as telemetry;

#[derive(Clone, Copy, telemetry::Label)]
enum Asset {
    Btc,
    Eth,
    Sol,
    Usdc,
    Dai,
    Ada,
    Dot,
}

#[telemetry::instrument_business(swap, labels(sold = sold, bought = bought))]
fn quote(sold: Asset, bought: Asset) {
    let _ = (sold, bought);
}

fn main() {
    quote(Asset::Btc, Asset::Eth);
    let _ = [Asset::Sol, Asset::Usdc, Asset::Dai, Asset::Ada, Asset::Dot];
}
