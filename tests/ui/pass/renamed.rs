//! The library under another path.
#![deny(warnings)]

mod facade {
    pub use ironcore_telemetry as watch;
}

#[derive(facade::watch::Label)]
#[label(crate = crate::facade::watch)]
enum Side {
    Sell,
}

#[derive(Debug, facade::watch::Outcome)]
#[outcome(crate = crate::facade::watch)]
enum SwapError {
    #[outcome(rejected)]
    Late,
}

#[derive(Debug, facade::watch::Outcome)]
#[outcome(failed, crate = crate::facade::watch)]
struct Lost;

#[facade::watch::instrument_business(crate = crate::facade::watch, labels(side = side), fields(late = late))]
fn create_wallet(side: Side, late: bool) -> Result<(), SwapError> {
    if late { Err(SwapError::Late) } else { Ok(()) }
}

struct Ledger;

#[facade::watch::instrument_business(payment, crate = crate::facade::watch)]
impl Ledger {
    async fn pay(&self) -> Result<(), Lost> {
        Err(Lost)
    }

    #[facade::watch::instrument_business(name = "pay_late")]
    fn late(&self) {}
}

fn main() {
    create_wallet(Side::Sell, false).unwrap();
    create_wallet(Side::Sell, true).unwrap_err();
    Ledger.late();
    let _ = Ledger.pay();
}
