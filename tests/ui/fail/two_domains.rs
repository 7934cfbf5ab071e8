use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
fn pay_user_by_wallet() {}

fn main() {}
