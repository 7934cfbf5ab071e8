//! A small wallet backend, instrumented with `ironcore-telemetry`: what a service of your own would look like.
//!
//! Reading order: `../wallet_service.rs` (start and stop), `api` (routes and business operations), `error` (what counts as
//! rejected and what as failed), `store` and `chain` (what the operations lean on).

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
pub use error::causes;
pub use settings::{Settings, SettingsError};
pub use store::{Store, StoreError};

/// What every handler can reach.
#[derive(Clone, Debug)]
pub struct App {
    /// Wallets and transactions.
    pub store: Store,
    /// The node that knows gas and swap prices.
    pub chain: ChainNode,
}
