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
//! | `grpc` | yes | [`GrpcTelemetryLayer`] and [`GrpcClientTelemetryLayer`] for tonic, [`Outcome`] of `tonic::Status` |
//! | `testing` | | [`testing::Capture`], for the tests of your service |
//! | `http` | yes | [`HttpTelemetryLayer`] and [`HttpClientTelemetryLayer`] for axum and tower, [`scrape::router`] |
//!
//! # Promises
//!
//! Between [`init`] and [`TelemetryGuard::shutdown`] no function of this library returns an error, panics, or waits for
//! the network. Nothing is recorded but what is named here. What is lost is counted, by reason, in
//! `telemetry_dropped_total`. Log lines are written to stdout by the thread that logs: keep it read.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(
    not(all(feature = "http", feature = "json-logs", feature = "prometheus")),
    allow(dead_code, reason = "names and settings are the same for every set of features")
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
mod current;
mod error;
mod format;
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
mod worker;
// Instrumentation.
mod business;
#[cfg(any(feature = "http", feature = "grpc"))]
pub mod client;
#[cfg(any(feature = "http", feature = "grpc"))]
mod exchange;
mod guarded;
mod propagation;
#[cfg(any(feature = "http", feature = "grpc"))]
mod protocol;
mod recorder;
pub mod saved_context;
#[cfg(any(feature = "http", feature = "grpc"))]
pub mod server;
mod trace_ids;
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

pub use business::{CatalogEntry, Label, Outcome, OutcomeClass, catalog};
#[cfg(feature = "grpc")]
pub use client::grpc::GrpcClientTelemetryLayer;
#[cfg(feature = "http")]
pub use client::http::HttpClientTelemetryLayer;
pub use config::{Config, Protocol, Sampling};
#[cfg(any(feature = "http", feature = "grpc"))]
pub use error::InvalidPattern;
pub use error::{InitError, ShutdownError};
pub use guard::TelemetryGuard;
pub use init::{init, init_with};
pub use redact::Secret;
#[cfg(any(feature = "http", feature = "grpc"))]
pub use server::boundary::Boundary;
#[cfg(feature = "grpc")]
pub use server::grpc::GrpcTelemetryLayer;
#[cfg(feature = "http")]
pub use server::http::HttpTelemetryLayer;
pub use trace_ids::trace_id;

/// Makes a function a business operation: each call is a span `{domain}.{operation}`, one more in
/// `business_operations_total`, one duration in `business_operation_duration_seconds`, and one in
/// `business_operations_in_flight` while it runs. No argument is recorded unless it is named.
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
/// | argument | what it says |
/// |---|---|
/// | `wallet`, `transaction`, `swap`, `payment`, `user` | the domain, when the function's name does not tell it |
/// | `domain = "…"` | a domain of your own: `[a-z][a-z0-9_]*`, 32 at most |
/// | `name = "…"` | the operation, else it is the function's name without the domain's words |
/// | `fields(key = expr, …)` | attributes of the span |
/// | `labels(key = expr, …)` | labels of the metrics, four at most |
/// | `err = function`, `ok = function` | the verdict on an error or a value, when the type does not say it |
/// | `crate = path` | where this library is, when it is not `ironcore_telemetry` |
/// | `skip` | on a method of an instrumented block: this one is no operation |
///
/// # Domain and operation
///
/// The domain is read from the function's name when exactly one domain word stands in it (`wallet`; `transaction`,
/// `tx`; `swap`; `payment`; `user`); the other words are the operation: `create_wallet` is `wallet.create`. Else it is
/// named:
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
/// # let names: Vec<_> = telemetry::catalog().iter().map(|entry| (entry.domain, entry.operation)).collect();
/// # assert!(names.contains(&("custody", "rotate")) && names.contains(&("swap", "quote")));
/// ```
///
/// A name without a domain, or with two, does not compile:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business]
/// fn do_something() {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business]
/// fn pay_user_by_wallet() {}
/// ```
///
/// nor does a domain that is no word:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(domain = "Custody 2")]
/// fn rotate_keys() {}
/// ```
///
/// # Outcome
///
/// How a call ended is read from what it returns: an error that implements [`Outcome`](trait@Outcome) decides itself
/// ([derive it](macro@Outcome)), any other `Err` is `failed` with the code `error`, everything else is `ok`. A future
/// that is dropped before its end is `cancelled`, a panic is `panicked` and goes on unchanged.
///
/// For a `Result` of other people's types, `err` and `ok` name a function or a closure that is given a reference and
/// answers with an [`OutcomeClass`], or with a class and a code; the side that is not named keeps the verdict of its type.
///
/// ```
/// use ironcore_telemetry as telemetry;
/// use telemetry::OutcomeClass;
/// use std::io;
///
/// #[telemetry::instrument_business(err = verdict, ok = |found| if *found { OutcomeClass::Ok } else { OutcomeClass::Rejected })]
/// async fn find_wallet(id: u64) -> Result<bool, io::Error> {
///     Ok(id == 7)
/// }
///
/// fn verdict(error: &io::Error) -> (OutcomeClass, &'static str) {
///     match error.kind() {
///         io::ErrorKind::PermissionDenied => (OutcomeClass::Rejected, "not_allowed"),
///         _ => (OutcomeClass::Failed, "io"),
///     }
/// }
/// ```
///
/// There must be a `Result` to judge, and a verdict to come of it:
///
/// ```compile_fail
/// # use ironcore_telemetry as telemetry;
/// #[telemetry::instrument_business(err = |_| telemetry::OutcomeClass::Failed)]
/// fn create_wallet() {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(err = |_| "rejected")]
/// fn create_wallet() -> Result<(), std::fmt::Error> {
///     Ok(())
/// }
/// ```
///
/// # Fields
///
/// `key = expr` puts a boolean, a number or text on the span, `key = %expr` shows a value by `Display`, `key = ?expr` by
/// `Debug`. The expressions see the arguments before the body does, by reference, and are evaluated only for a call whose
/// span is sampled. A value longer than 8 KiB is cut.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// # #[derive(Debug)]
/// # struct Route(&'static str);
/// #[telemetry::instrument_business(fields(chain.id = chain, route = ?route, amount = %amount, memo.length = memo.len()))]
/// async fn send_transaction(chain: u32, route: Route, amount: u128, memo: String) -> String {
///     memo
/// }
/// ```
///
/// A [`Secret`] cannot be named, whichever way:
///
/// ```compile_fail
/// use ironcore_telemetry::{Secret, instrument_business};
///
/// #[instrument_business(fields(seed = ?seed))]
/// fn import_wallet(seed: Secret<String>) {}
/// ```
///
/// nor a type that is none of these without `%` or `?`, nor a key that every operation has:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(fields(pair = pair))]
/// fn swap(pair: (u64, u64)) {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(fields(error.type = kind))]
/// fn swap(kind: u64) {}
/// ```
///
/// # Labels
///
/// A label is a [`Label`](trait@Label): an enum without fields that [derives it](macro@Label), or `bool`. With five
/// outcomes a site may have 200 series, that is 40 combinations of labels. From the first call on every combination stands
/// on `/metrics`, at zero.
///
/// ```
/// use ironcore_telemetry as telemetry;
/// use telemetry::Label;
///
/// #[derive(Clone, Copy, Label)]
/// enum Asset {
///     Eth,
///     #[label("wbtc")]
///     WrappedBtc,
/// }
///
/// #[telemetry::instrument_business(labels(asset = asset, large = amount > 1_000_000))]
/// fn execute_swap(asset: Asset, amount: u128) {}
/// # execute_swap(Asset::Eth, 1);
/// # execute_swap(Asset::WrappedBtc, 1);
/// ```
///
/// Text, numbers, addresses and ids are no labels, because each new value would be a series for ever:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(labels(owner = owner))]
/// fn create_wallet(owner: &str) {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(labels(a = true, b = true, c = true, d = true, e = true))]
/// fn create_wallet() {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(labels(outcome = true))]
/// fn create_wallet() {}
/// ```
///
/// # Blocks
///
/// On an `impl` block, of a type or of a trait for it, every method is an operation of the block's domain. A method says
/// more in an attribute of its own, or opts out; a `const fn` must.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// struct Vault {
///     keys: u64,
/// }
///
/// #[telemetry::instrument_business(domain = "custody")]
/// impl Vault {
///     #[telemetry::instrument_business(skip)]
///     const fn new() -> Self {
///         Self { keys: 1 }
///     }
///
///     fn rotate(&mut self) {
///         self.keys += 1;
///     }
///
///     #[telemetry::instrument_business(name = "audit", fields(keys = self.keys))]
///     async fn audit_all(&self) {}
/// }
/// # Vault::new().rotate();
/// # let names: Vec<_> = telemetry::catalog().iter().map(|entry| entry.operation).collect();
/// # assert!(names.contains(&"audit") && names.contains(&"rotate") && !names.contains(&"new"));
/// ```
///
/// What belongs to one method is not for a block:
///
/// ```compile_fail
/// # struct Vault;
/// #[ironcore_telemetry::instrument_business(domain = "custody", name = "rotate")]
/// impl Vault {
///     fn rotate(&self) {}
/// }
/// ```
///
/// ```compile_fail
/// # struct Vault;
/// #[ironcore_telemetry::instrument_business(domain = "custody")]
/// impl Vault {
///     const fn size(&self) -> u64 { 7 }
/// }
/// ```
///
/// # Where it can stand
///
/// On functions and methods, `async` or not, generic, `unsafe`, `extern`, with `impl Trait` in any place; on methods under
/// `#[async_trait]`, above or below it; on handlers of axum and services of tonic. Errors in the body are reported where
/// they are. A synchronous body becomes a closure: `Location::caller` inside it is not that of `#[track_caller]`.
///
/// Refused is what has no outcome to record when it returns:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(wallet)]
/// const fn size() -> u64 { 7 }
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(wallet)]
/// fn run() -> ! { loop {} }
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(wallet)]
/// fn open() -> impl Future<Output = ()> { async {} }
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(wallet)]
/// struct Wallet;
/// ```
///
/// and an argument that is not in the table, or there twice:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(level = "info")]
/// fn create_wallet() {}
/// ```
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(name = "a", name = "b")]
/// fn create_wallet() {}
/// ```
///
/// # Renamed
///
/// ```edition2021
/// mod observability {
///     pub use ironcore_telemetry as telemetry;
/// }
///
/// #[observability::telemetry::instrument_business(crate = observability::telemetry)]
/// async fn create_wallet() -> Result<u64, std::num::ParseIntError> {
///     "7".parse()
/// }
/// ```
pub use ironcore_telemetry_macros::instrument_business;

/// Implements [`Label`](trait@Label) for an enum without fields. The values are the names of the variants in `snake_case`,
/// or what `#[label("…")]` says; there are 40 at most, each once.
///
/// ```
/// use ironcore_telemetry::Label;
///
/// #[derive(Label)]
/// enum Network {
///     Mainnet,
///     #[label("l2")]
///     OptimisticRollup,
///     ZkRollup,
/// }
///
/// assert_eq!(Network::VALUES, ["mainnet", "l2", "zk_rollup"]);
/// # assert_eq!((Network::Mainnet.index(), Network::OptimisticRollup.index(), Network::ZkRollup.index()), (0, 1, 2));
/// ```
///
/// `#[label(crate = path)]` on the enum says where this library is, when it is not `ironcore_telemetry`. A type that is no
/// closed set is refused:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Label)]
/// enum Owner {
///     Nobody,
///     Somebody(String),
/// }
/// ```
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Label)]
/// struct Owner(String);
/// ```
///
/// and so are two variants with one value:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Label)]
/// enum Asset {
///     Btc,
///     #[label("btc")]
///     Bitcoin,
/// }
/// ```
pub use ironcore_telemetry_macros::Label;

/// Implements [`Outcome`](trait@Outcome) for an error type. Every variant of an enum says `#[outcome(ok)]`,
/// `#[outcome(rejected)]` (the caller's fault, expected) or `#[outcome(failed)]` (the service's), and may say a
/// `code = "…"`: `[a-z][a-z0-9_]*`, else it is the variant's name in `snake_case`. `#[outcome(forward)]` asks the only
/// field, or the one marked `#[source]` or `#[from]`. A struct says the same of itself.
///
/// ```
/// use ironcore_telemetry::{Outcome, OutcomeClass};
///
/// #[derive(Outcome)]
/// enum TransferError {
///     #[outcome(rejected)]
///     InsufficientFunds,
///     #[outcome(failed, code = "signer_unavailable")]
///     Signer { after_seconds: u64 },
///     #[outcome(forward)]
///     Chain(ChainError),
/// }
///
/// #[derive(Outcome)]
/// #[outcome(failed, code = "chain_down")]
/// struct ChainError;
///
/// let verdict = |error: TransferError| (error.class(), error.code());
/// assert_eq!(verdict(TransferError::InsufficientFunds), (OutcomeClass::Rejected, "insufficient_funds"));
/// assert_eq!(verdict(TransferError::Signer { after_seconds: 3 }), (OutcomeClass::Failed, "signer_unavailable"));
/// assert_eq!(verdict(TransferError::Chain(ChainError)), (OutcomeClass::Failed, "chain_down"));
/// ```
///
/// `#[outcome(crate = path)]` on the type says where this library is, when it is not `ironcore_telemetry`. A variant that
/// is forgotten does not compile, and the message names it:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Outcome)]
/// enum TransferError {
///     InsufficientFunds,
/// }
/// ```
///
/// nor does a source that has no outcome, or a code that is no word:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Outcome)]
/// enum TransferError {
///     #[outcome(forward)]
///     Io(std::io::Error),
/// }
/// ```
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Outcome)]
/// enum TransferError {
///     #[outcome(failed, code = "Signer unavailable!")]
///     Signer,
/// }
/// ```
pub use ironcore_telemetry_macros::Outcome;
