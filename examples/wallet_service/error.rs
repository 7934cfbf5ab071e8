use crate::chain::ChainError;
use crate::model::{Asset, BODY_LIMIT, Chain, MAX_AMOUNT, MAX_ITEMS};
use crate::store::StoreError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ironcore_telemetry::{Outcome, OutcomeClass};
use serde_json::json;
use std::error::Error;

/// Why a request failed. The message goes to the client, so it never quotes the input and shows no internals.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is nothing at this path")]
    UnknownRoute,
    #[error("this path does not take this method; the allow header names those it takes")]
    WrongMethod,
    #[error("the body must be JSON, with the header content-type: application/json")]
    NotJson,
    #[error("the body is too large; allowed: {BODY_LIMIT} bytes")]
    BodyTooLarge,
    #[error("the body ended early")]
    BodyCutOff,
    #[error("the body cannot be used: {fault} (line {line}, column {column}); allowed: {allowed}")]
    BadBody { fault: &'static str, line: usize, column: usize, allowed: &'static str },
    #[error("the query cannot be used; allowed: {allowed}")]
    BadQuery { allowed: &'static str },
    #[error("{0} items were asked for; allowed: 1 to {MAX_ITEMS}")]
    BadCount(usize),
    #[error("the amount is out of range; allowed: {least} to {MAX_AMOUNT}, in minor units")]
    BadAmount { least: i64 },
    #[error("the mnemonic is malformed; allowed: 12 or 24 lower-case words of 3 to 8 letters, one space between them")]
    BadMnemonic,
    #[error("{} is not on {}", asset.name(), chain.name())]
    WrongChain { asset: Asset, chain: Chain },
    #[error("wallet `{field}` does not hold this asset; it holds {}", holds.name())]
    WrongAsset { field: &'static str, holds: Asset },
    #[error("from and to are the same; allowed: two different {0}")]
    SameEnds(&'static str),
    #[error("no wallet has the id given as `{0}`")]
    UnknownWallet(&'static str),
    #[error("a wallet of this chain, asset and mnemonic exists already")]
    WalletExists,
    #[error("the wallet holds less than the amount")]
    InsufficientFunds,
    #[error("the receiving wallet would hold more than {MAX_AMOUNT} minor units")]
    BalanceLimit,
    #[error("the amount is worth less than one minor unit of the other asset")]
    AmountTooSmall,
    #[error("the price has moved: less than min_received would arrive")]
    PriceMoved,
    #[error("the chain node did not answer")]
    Chain(#[from] ChainError),
    #[error("the store is not available, try again")]
    StoreUnavailable(#[source] StoreError),
    #[error("the store failed")]
    Store(#[source] StoreError),
}

impl ApiError {
    /// The HTTP status, and the code for clients and metrics, out of a fixed set.
    const fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::UnknownRoute => (S::NOT_FOUND, "unknown_route"),
            Self::WrongMethod => (S::METHOD_NOT_ALLOWED, "wrong_method"),
            Self::NotJson => (S::UNSUPPORTED_MEDIA_TYPE, "not_json"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyCutOff => (S::BAD_REQUEST, "body_cut_off"),
            Self::BadBody { .. } => (S::BAD_REQUEST, "bad_body"),
            Self::BadQuery { .. } => (S::BAD_REQUEST, "bad_query"),
            Self::BadCount(_) => (S::BAD_REQUEST, "bad_count"),
            Self::BadAmount { .. } => (S::UNPROCESSABLE_ENTITY, "bad_amount"),
            Self::BadMnemonic => (S::UNPROCESSABLE_ENTITY, "bad_mnemonic"),
            Self::WrongChain { .. } => (S::UNPROCESSABLE_ENTITY, "wrong_chain"),
            Self::WrongAsset { .. } => (S::UNPROCESSABLE_ENTITY, "wrong_asset"),
            Self::SameEnds(_) => (S::UNPROCESSABLE_ENTITY, "same_ends"),
            Self::UnknownWallet(_) => (S::NOT_FOUND, "unknown_wallet"),
            Self::WalletExists => (S::CONFLICT, "wallet_exists"),
            Self::InsufficientFunds => (S::UNPROCESSABLE_ENTITY, "insufficient_funds"),
            Self::BalanceLimit => (S::UNPROCESSABLE_ENTITY, "balance_limit"),
            Self::AmountTooSmall => (S::UNPROCESSABLE_ENTITY, "amount_too_small"),
            Self::PriceMoved => (S::UNPROCESSABLE_ENTITY, "price_moved"),
            Self::Chain(_) => (S::BAD_GATEWAY, "chain_unavailable"),
            Self::StoreUnavailable(_) => (S::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::Store(_) => (S::INTERNAL_SERVER_ERROR, "store_failed"),
        }
    }

    /// The message with its source, for the log.
    fn detail(&self) -> String {
        self.source().map_or_else(|| self.to_string(), |source| format!("{self}: {source}"))
    }
}

/// A refused request is the service at work (`rejected`); only our own faults are `failed`, and alert someone.
impl Outcome for ApiError {
    fn class(&self) -> OutcomeClass {
        if self.status_and_code().0.is_client_error() { OutcomeClass::Rejected } else { OutcomeClass::Failed }
    }

    fn code(&self) -> &'static str {
        self.status_and_code().1
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        if status.is_server_error() {
            // The source is for the log only: the client gets the code and a sentence.
            tracing::error!(code, error = self.detail(), "request failed");
        }
        // A user can quote it to the support, which finds the trace and the log lines by it.
        let request_id = ironcore_telemetry::trace_id();
        let body = json!({
            "error": { "code": code, "message": self.to_string(), "request_id": request_id }
        });
        (status, Json(body)).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AddressTaken => Self::WalletExists,
            StoreError::InsufficientFunds => Self::InsufficientFunds,
            StoreError::BalanceLimit => Self::BalanceLimit,
            StoreError::Unavailable(_) => Self::StoreUnavailable(error),
            StoreError::Database(_) | StoreError::Migration(_) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insufficient_funds_are_a_rejection_with_a_code() {
        let error = ApiError::from(StoreError::InsufficientFunds);
        assert_eq!(error.class(), OutcomeClass::Rejected);
        assert_eq!(error.code(), "insufficient_funds");
    }

    #[test]
    fn a_store_or_chain_that_does_not_answer_is_a_failure() {
        let store = ApiError::from(StoreError::from(sqlx::Error::PoolTimedOut));
        assert_eq!((store.class(), store.code()), (OutcomeClass::Failed, "store_unavailable"));
        let chain = ApiError::from(ChainError);
        assert_eq!((chain.class(), chain.code()), (OutcomeClass::Failed, "chain_unavailable"));
    }

    #[test]
    fn the_log_line_of_a_failure_names_its_sources() {
        let error = ApiError::from(StoreError::from(sqlx::Error::RowNotFound));
        assert!(error.detail().starts_with("the store failed: the database failed: no rows"));
    }

    #[test]
    fn the_log_line_of_a_failure_names_each_source_once() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let error = ApiError::from(StoreError::from(sqlx::Error::Io(refused)));
        assert_eq!(error.detail().matches("connection refused").count(), 1);
    }
}
