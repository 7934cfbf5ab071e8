#![deny(unused_variables)]

use ironcore_telemetry as telemetry;

#[telemetry::instrument_business]
fn create_wallet(owner: u64) {}

fn main() {}
