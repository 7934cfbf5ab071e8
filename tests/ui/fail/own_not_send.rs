use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
async fn create_wallet() -> u64 {
    let held = std::rc::Rc::new(7);
    std::future::ready(()).await;
    *held
}

fn main() {
    fn sent(_: impl Send) {}
    sent(create_wallet());
}
