//! A small wallet service, instrumented with `ironcore-telemetry`: copy from it.
//!
//! Reading order: `../wallet_service.rs` (start and stop), `api` (routes and business operations), `error` (which
//! errors are rejected and which failed), `store` and `chain` (the database and the chain node that the operations
//! use).

mod api;
mod chain;
mod error;
mod extract;
mod mnemonic;
mod model;
mod settings;
mod store;

pub use api::router;
pub use chain::{ChainNode, ChainSettings};
pub use settings::{Settings, SettingsError};
pub use store::{Store, StoreError};

/// The state of every handler.
#[derive(Clone, Debug)]
pub struct App {
    /// Wallets and transactions.
    pub store: Store,
    /// The node that answers with gas and swap prices.
    pub chain: ChainNode,
}
