//! A module of several test binaries, not of the library `support`: its operation is on the page of those binaries
//! only.

use ironcore_telemetry::{self as telemetry, Outcome, OutcomeClass};
use std::time::Duration;

pub(crate) enum PaymentError {
    InsufficientFunds,
    SignerUnavailable,
}

impl Outcome for PaymentError {
    fn class(&self) -> OutcomeClass {
        match self {
            Self::InsufficientFunds => OutcomeClass::Rejected,
            Self::SignerUnavailable => OutcomeClass::Failed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::SignerUnavailable => "signer_unavailable",
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Ending {
    Ok,
    Rejected,
    Failed,
    Panicked,
    Cancelled,
}

#[telemetry::instrument_business(payment)]
pub(crate) async fn pay(ending: Ending) -> Result<(), PaymentError> {
    match ending {
        Ending::Ok => Ok(()),
        Ending::Rejected => Err(PaymentError::InsufficientFunds),
        Ending::Failed => Err(PaymentError::SignerUnavailable),
        Ending::Panicked => panic!("a bug"),
        Ending::Cancelled => std::future::pending().await,
    }
}

/// Ends one payment in every way.
pub(crate) async fn pay_with_every_ending() {
    assert!(pay(Ending::Ok).await.is_ok());
    assert!(pay(Ending::Rejected).await.is_err());
    assert!(pay(Ending::Failed).await.is_err());
    assert!(tokio::spawn(pay(Ending::Panicked)).await.is_err());
    let cancelled = tokio::time::timeout(Duration::from_millis(20), pay(Ending::Cancelled));
    assert!(cancelled.await.is_err());
}
