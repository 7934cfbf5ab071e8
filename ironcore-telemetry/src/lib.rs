//! Traces, metrics and logs for wallet and payment services: one call to set up, one attribute per operation.
//!
//! ```no_run
//! use ironcore_telemetry as telemetry;
//! use std::time::Duration;
//!
//! #[telemetry::instrument_business]
//! async fn create_wallet(owner: &str) -> Result<u64, std::io::Error> {
//!     tracing::info!("creating a wallet");
//!     Ok(1)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let guard = telemetry::init()?;
//!     create_wallet("alice").await?;
//!     guard.shutdown(Duration::from_secs(5))?;
//!     Ok(())
//! }
//! ```
//!
//! One call of `create_wallet` is then
//! - a span `wallet.create` in Jaeger, a child of the request's span;
//! - one more in `business_operations_total{domain="wallet",operation="create",outcome="ok"}` and one duration in
//!   `business_operation_duration_seconds` on `/metrics`;
//! - and the log line inside carries the span's `trace_id` and `span_id`.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `otlp-grpc` | yes | OTLP over gRPC, the default protocol |
//! | `otlp-http` | | OTLP over HTTP with protobuf bodies (`OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`) |
//! | `prometheus` | yes | the `/metrics` listener, and the OpenTelemetry instruments of libraries on the page |
//! | `json-logs` | yes | JSON log lines on stdout |
//! | `grpc` | yes | [`Outcome`] of `tonic::Status` |
//! | `testing` | | [`testing::Capture`], for the tests of your service |
//! | `http` | yes | [`HttpTelemetryLayer`] and [`scrape::router`] |
//!
//! # Promises
//!
//! Between [`init`] and [`TelemetryGuard::shutdown`] no function of this library returns an error, panics, or waits for
//! the network. Nothing is recorded but what is named here. What is lost is counted, by reason, in
//! `telemetry_dropped_total`. Log lines are written to stdout by the thread that logs: keep it read.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    not(all(feature = "http", feature = "json-logs", feature = "prometheus")),
    allow(
        dead_code,
        reason = "names and settings are the same for every set of features"
    )
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that cannot go on should stop"
    )
)]

// Vocabulary.
mod config;
mod error;
mod names;
mod redact;
mod series;
// Signals.
mod export;
#[cfg(feature = "json-logs")]
mod logs;
mod metrics;
mod resource;
mod traces;
// Instrumentation.
mod business;
#[cfg(feature = "http")]
mod propagation;
mod recorder;
#[cfg(feature = "http")]
mod server;
// Wiring.
mod guard;
mod init;
// Doors.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod scrape;
#[cfg(feature = "testing")]
pub mod testing;

pub use business::{Catalog, Label, Outcome, OutcomeClass, catalog};
pub use config::{Config, Protocol, Sampling};
pub use error::{InitError, ShutdownError};
pub use guard::TelemetryGuard;
pub use init::{init, init_with};
pub use redact::Secret;
#[cfg(feature = "http")]
pub use server::{HttpTelemetryFuture, HttpTelemetryLayer, HttpTelemetryService};

/// Makes a function a business operation: each call is a span `{domain}.{operation}`, one more in
/// `business_operations_total`, and one duration in `business_operation_duration_seconds`. Works on synchronous and
/// `async` functions and methods; no argument is recorded.
///
/// The domain is read from the function's name when exactly one domain word stands in it (`wallet`; `transaction`,
/// `tx`; `swap`; `payment`; `user`); the other words are the operation: `create_wallet` is `wallet.create`.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business]
/// fn create_wallet() -> Result<(), std::num::ParseIntError> {
///     Ok(())
/// }
/// # create_wallet().unwrap();
/// ```
///
/// A domain of the list can be named, and any other be given with the operation's name:
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business(swap)]
/// async fn quote() -> u64 {
///     7
/// }
///
/// #[telemetry::instrument_business(domain = "custody", name = "rotate")]
/// fn rotate_signing_keys() {}
/// # rotate_signing_keys();
/// ```
///
/// How a call ended is read from what it returns: an error that implements [`Outcome`] decides itself, any other `Err`
/// is `failed` with the code `error`, everything else is `ok`. A future that is dropped before its end is `cancelled`,
/// a panic is `panicked` and goes on unchanged.
///
/// A name without a domain, or with two, does not compile:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business]
/// fn do_something() {}
/// ```
pub use ironcore_telemetry_macros::instrument_business;
