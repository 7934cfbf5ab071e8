//! Together with `thiserror`, which marks sources with the same attributes.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]

use ironcore_telemetry::{Outcome, OutcomeClass};

#[derive(Debug, thiserror::Error, Outcome)]
enum TransferError {
    #[error("not enough: {0}")]
    #[outcome(rejected)]
    InsufficientFunds(u64),
    #[error("in block {block}")]
    #[outcome(forward)]
    Chain {
        block: u64,
        #[source]
        source: ChainError,
    },
    #[error(transparent)]
    #[outcome(forward)]
    Custody(#[from] CustodyError),
}

#[derive(Debug, thiserror::Error, Outcome)]
#[error("the node is unavailable")]
#[outcome(failed, code = "node_unavailable")]
struct ChainError;

#[derive(Debug, thiserror::Error, Outcome)]
#[error("refused")]
#[outcome(rejected, code = "custody_refused")]
struct CustodyError;

fn main() {
    let verdict = |error: TransferError| (error.class(), error.code());
    assert_eq!(
        verdict(TransferError::InsufficientFunds(1)),
        (OutcomeClass::Rejected, "insufficient_funds")
    );
    assert_eq!(
        verdict(TransferError::Chain { block: 1, source: ChainError }),
        (OutcomeClass::Failed, "node_unavailable")
    );
    assert_eq!(
        verdict(TransferError::from(CustodyError)),
        (OutcomeClass::Rejected, "custody_refused")
    );
}
