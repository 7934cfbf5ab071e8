//! All arguments at once, in a crate with strict lints.
#![deny(missing_docs, unused, warnings, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use ironcore_telemetry as telemetry;
use telemetry::{Label, Outcome, OutcomeClass};

/// A public label.
#[derive(Clone, Copy, Debug, Label)]
pub enum Asset {
    /// Ether.
    Eth,
    /// Bitcoin, wrapped.
    #[label("wbtc")]
    WrappedBtc,
}

/// A public error.
#[derive(Debug, Outcome)]
pub enum SwapError {
    /// There are no offers.
    #[outcome(rejected)]
    NoLiquidity,
    /// The signer is unavailable.
    #[outcome(failed, code = "signer_unavailable")]
    Signer {
        /// For how long.
        seconds: u64,
    },
    /// Done before.
    #[outcome(ok)]
    AlreadyDone,
    /// The custody service refused.
    #[outcome(forward)]
    Custody(CustodyError),
}

/// An error that is a struct.
#[derive(Debug, Outcome)]
#[outcome(rejected, code = "custody_refused")]
pub struct CustodyError;

/// An order.
#[derive(Debug)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// What is sold.
    pub asset: Asset,
}

/// Sells.
///
/// # Errors
/// When there is no buyer.
#[telemetry::instrument_business(
    swap,
    name = "sell",
    fields(order.id = order.id, asset = ?order.asset, note = %note, half = order.id / 2 + 1),
    labels(asset = order.asset, urgent = order.id > 7),
    err = |error: &SwapError| (error.class(), error.code()),
    ok = |sold: &u64| if *sold == 0 { OutcomeClass::Rejected } else { OutcomeClass::Ok },
    crate = telemetry
)]
pub async fn sell(order: &Order, note: &str) -> Result<u64, SwapError> {
    if note.is_empty() {
        return Err(SwapError::NoLiquidity);
    }
    std::future::ready(()).await;
    Ok(order.id)
}

/// Buys.
///
/// # Errors
/// When there is no seller.
#[telemetry::instrument_business(swap, fields(order = %order.id), labels(asset = order.asset), err = SwapError::class)]
pub fn buy(order: Order) -> Result<Order, SwapError> {
    Ok(order)
}

/// An exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Its fee.
    pub fee: u64,
}

#[telemetry::instrument_business(payment)]
impl Exchange {
    /// Opts out.
    #[must_use]
    #[telemetry::instrument_business(skip)]
    pub const fn new(fee: u64) -> Self {
        Self { fee }
    }

    /// Has no arguments of its own.
    #[must_use]
    pub fn fee(&self) -> u64 {
        self.fee
    }

    /// Has arguments of its own.
    pub async fn charge(&mut self, more: u64) {
        self.fee += more;
    }

    /// Has arguments of its own.
    #[telemetry::instrument_business(user, name = "charge_own", fields(fee = self.fee, more = more))]
    pub async fn charge_user(&mut self, more: u64) {
        self.fee += more;
    }
}

fn main() {}
