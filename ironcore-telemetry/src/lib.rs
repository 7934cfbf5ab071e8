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
//!     let report = guard.shutdown(Duration::from_secs(5));
//!     if !report.is_complete() {
//!         eprintln!("{report}");
//!     }
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
//! | `tls` | yes | OTLP over TLS: `https://` endpoints, with rustls and the authorities of the system |
//! | `prometheus` | yes | the `/metrics` listener, and the OpenTelemetry instruments of libraries on the page |
//! | `json-logs` | yes | JSON log lines on stdout |
//! | `http` | yes | [`HttpTelemetryLayer`] and [`HttpClientTelemetryLayer`] for axum and tower, [`scrape::router`], [`Outcome`](trait@Outcome) of `http::StatusCode`, `http::Response` and `(StatusCode, …)`; without it these are `ok` as a returned value, and `failed` with the code `error` as an `Err` |
//! | `grpc` | yes | [`GrpcTelemetryLayer`] and [`GrpcClientTelemetryLayer`] for tonic, [`Outcome`](trait@Outcome) of `tonic::Status`; without it an `Err(Status)` is `failed` with the code `error` |
//! | `config-file` | | declarative configuration in YAML (`OTEL_CONFIG_FILE`) |
//! | `jaeger-sampling` | | sampling that Jaeger, or the Collector, tells (`OTEL_TRACES_SAMPLER=jaeger_remote`) |
//! | `reqwest` | | [`HttpClientTelemetryLayer::reqwest`]: the layer around a client of `reqwest` 0.13 |
//! | `signals` | | `Config::on_terminate`: SIGTERM and SIGINT deliver telemetry before they end the process (Unix) |
//! | `spool` | | `Config::spool`: what waits for export is kept on disk too, and the next start delivers it (Unix) |
//! | `testing` | | [`testing::Capture`], for the tests of your service |
//!
//! Features add; none changes a default. If the configuration needs a feature that is not compiled in, [`init`] returns
//! [`InitError::MissingFeature`], which names the feature and the alternative.
//!
//! # Promises
//!
//! Between [`init`] and [`TelemetryGuard::shutdown`] nothing that records returns an error, panics, or waits for the
//! network. Only what is named here is recorded. Lost telemetry is counted, by reason, in `telemetry_dropped_total`.
//! Log lines are written to stdout by the thread that logs: make sure that stdout is read.
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
mod caught;
mod causes;
mod config;
mod current;
mod error;
mod flag;
mod format;
mod names;
mod redact;
mod report;
mod scrub;
mod series;
// Signals.
mod export;
mod filter;
#[cfg(feature = "json-logs")]
mod logs;
mod metrics;
mod resource;
mod traces;
mod worker;
// Instrumentation.
mod annotate;
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
mod panic_hook;
#[cfg(all(unix, feature = "signals"))]
mod terminate;
// Doors.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod scrape;
#[cfg(feature = "testing")]
pub mod testing;

pub use annotate::{AttributeValue, add_event, set_attribute};
pub use business::{CatalogEntry, KnownCodes, Label, Outcome, OutcomeClass, catalog};
#[cfg(feature = "grpc")]
pub use client::grpc::GrpcClientTelemetryLayer;
#[cfg(feature = "http")]
pub use client::http::HttpClientTelemetryLayer;
pub use config::{Config, Protocol, Sampling};
pub use error::InitError;
#[cfg(any(feature = "http", feature = "grpc"))]
pub use error::InvalidPattern;
pub use guard::TelemetryGuard;
pub use init::{init, init_on, init_with};
/// The version of OpenTelemetry's API that this library works with. An instrument or a span that is made by another
/// version goes to that version's providers, which nobody has set, and is lost without a word.
pub use opentelemetry;
pub use redact::Secret;
pub use report::{Ledger, Report};
#[cfg(any(feature = "http", feature = "grpc"))]
pub use server::boundary::Boundary;
#[cfg(feature = "grpc")]
pub use server::grpc::GrpcTelemetryLayer;
#[cfg(feature = "http")]
pub use server::http::HttpTelemetryLayer;
pub use trace_ids::trace_id;

/// Instruments a function as a business operation. Each call makes a span `{domain}.{operation}`, is counted in
/// `business_operations_total`, has its duration in `business_operation_duration_seconds`, and is counted in
/// `business_operations_in_flight` while it runs. Arguments are not recorded unless you name them in `fields` or
/// `labels`.
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
/// | argument | meaning |
/// |---|---|
/// | `wallet`, `transaction`, `swap`, `payment`, `user` | the domain, where the function's name does not contain it |
/// | `domain = "…"` | a domain of your own: `[a-z][a-z0-9_]*`, at most 32 characters |
/// | `name = "…"` | the operation, in the same form; without it, the function's name without the words of the domain |
/// | `fields(key = expr, …)` | attributes of the span |
/// | `labels(key = expr, …)` | labels of the metrics, at most four |
/// | `err = function`, `ok = function` | the verdict on an error or a value, in place of its type |
/// | `record_error` | the text of a returned error, with its sources, is recorded |
/// | `crate = path` | the path of this library, where it is not `ironcore_telemetry` |
/// | `skip` | on a method of an instrumented block: the method is not instrumented |
///
/// # Domain and operation
///
/// The domain is read from the function's name if the name contains exactly one domain word: `wallet`, `transaction` or
/// `tx`, `swap`, `payment`, `user`, or the plural of one. The other words are the operation: `create_wallet` is
/// `wallet.create`. Otherwise give the domain:
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
/// A name without a domain word, or with two, does not compile:
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
/// Neither does a domain that does not match the pattern:
///
/// ```compile_fail
/// #[ironcore_telemetry::instrument_business(domain = "Custody 2")]
/// fn rotate_keys() {}
/// ```
///
/// # Outcome
///
/// The outcome of a call is read from the value that it returns. A value or an error that implements
/// [`Outcome`](trait@Outcome) gives its own ([derive it](macro@Outcome) for your errors); any other `Err` is `failed`
/// with the code `error`, and any other value is `ok`. A future that is dropped before it is ready is `cancelled`. A
/// panic is `panicked`, and unwinds further.
///
/// For a `Result` of types that are not yours, give a function or a closure as `err` or `ok`. It takes a reference and
/// returns an [`OutcomeClass`], or a class with a code. The side that you do not give keeps the outcome of its type.
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
/// `err` and `ok` need a function that returns a `Result`, and must return a verdict:
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
/// `key = expr` puts a boolean, a number or text on the span; `key = %expr` formats a value with `Display`, and
/// `key = ?expr` with `Debug`. The expressions are evaluated before the body, take the arguments by reference, and are
/// evaluated only for a call whose span is sampled. A value longer than 8 KiB is cut.
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
/// A [`Secret`] does not compile, in any of the three forms:
///
/// ```compile_fail
/// use ironcore_telemetry::{Secret, instrument_business};
///
/// #[instrument_business(fields(seed = ?seed))]
/// fn import_wallet(seed: Secret<String>) {}
/// ```
///
/// Neither does a value of another type without `%` or `?`, nor a key that the library sets itself:
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
/// The value of a label implements [`Label`](trait@Label): it is an enum without fields that [derives it](macro@Label),
/// or a `bool`. A function may have 200 series, that is 40 combinations of label values with five outcomes each. From
/// the first call on, every combination is on `/metrics`, at zero.
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
/// Text, numbers, addresses and ids cannot be labels, because each new value would create a series that is never
/// removed; neither can a fifth label, nor a key that the library uses itself:
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
/// # Errors
///
/// The text of a returned error is not recorded, because it may quote what the caller sent. `record_error` records it:
/// as field `error` of the operation's log line, and as event `exception` of its span, with the errors underneath it
/// (`outer: source: …`), at most 16 of them and 8 KiB. The error implements `std::error::Error` or `Display`, or holds
/// an error, as `Box<dyn Error>` and `anyhow::Error` do. Without sources of type `Error`, its text alone is recorded.
/// Of an address in it (`scheme://user:password@host/path?query#fragment`), user, password, query and fragment are left
/// out; what else the text tells is recorded as it is.
///
/// ```
/// use ironcore_telemetry as telemetry;
///
/// #[telemetry::instrument_business(record_error)]
/// fn open_wallet(number: &str) -> Result<u64, std::num::ParseIntError> {
///     number.parse()
/// }
///
/// # #[cfg(feature = "testing")] {
/// # let capture = telemetry::testing::Capture::new();
/// # capture.run(|| open_wallet("seven").unwrap_err());
/// # assert!(capture.log_lines()[0].contains(r#""error":"invalid digit found in string""#));
/// # }
/// ```
///
/// One failure is one line of level `ERROR`: that of the innermost operation. The operations around it that pass the
/// same error on log at `INFO`, with the name of that operation as `caused_by`. It is the same error if its text is that
/// of the inner one, or ends with it behind `: `. An `async` operation that keeps an error while it awaits something
/// else, and returns it then, logs at `ERROR` once more. An operation that panicked logs at `WARN`.
///
/// # Panics in what you give it
///
/// A panic in `err`, `ok`, `Outcome`, or in the value of a field or a label never reaches the business: the function
/// returns what it returned. A judge that panics makes the operation `panicked` (with `error.type` `judge_panicked` on
/// the span), a field becomes `<panicked>`, and labels become `_OTHER`. With `panic = "abort"` nothing can be caught.
///
/// # Blocks
///
/// On an `impl` block, with or without a trait, the attribute instruments every method as an operation of the block's
/// domain. A method can have further arguments in an attribute of its own, or opt out; a `const fn` must opt out.
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
/// Arguments that belong to one method are not allowed on a block:
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
/// # Where it is allowed
///
/// On functions and methods: `async` or not, generic, `unsafe`, `extern`, with `impl Trait` anywhere in the signature;
/// with `#[async_trait]`, above or below it; on axum handlers and tonic services. Errors in the body are reported where
/// they are, and so are lints; two of clippy are not, because the body is awaited and is no longer the function's value:
/// `unused_async` and `unnecessary_wraps`. A synchronous body becomes a closure, in which `Location::caller` is not the
/// caller that `#[track_caller]` gives.
///
/// It is not allowed on items that have no outcome to record when they return:
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
/// Arguments that are not in the table are not allowed either, nor is an argument given twice:
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
/// # The library under another path
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

/// Implements [`Label`](trait@Label) for an enum without fields. The value of a variant is its name in `snake_case`, or
/// the text of `#[label("…")]`: at most 64 ASCII letters, digits, `_`, `-` and `.`. There are at most 40 values, all
/// different.
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
/// `#[label(crate = path)]` on the enum gives the path of this library, where it is not `ironcore_telemetry`. A type
/// that is not a closed set does not compile:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Label)]
/// enum Owner {
///     Unknown,
///     Named(String),
/// }
/// ```
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Label)]
/// struct Owner(String);
/// ```
///
/// Neither do two variants with the same value:
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

/// Implements [`Outcome`](trait@Outcome) for an error type. Every variant of an enum has a verdict:
///
/// | attribute | the error |
/// |---|---|
/// | `#[outcome(ok)]` | is not an error to the business |
/// | `#[outcome(rejected)]` | is the caller's fault, and expected |
/// | `#[outcome(failed)]` | is the service's fault |
/// | `#[outcome(forward)]` | has the outcome of its only field, or of the one marked `#[source]` or `#[from]` |
///
/// The code is the variant's name in `snake_case`; beside the first three, `code = "…"` gives another:
/// `[a-z][a-z0-9_]*`, at most 64 characters. A struct has the attribute on itself. The codes of all variants stand at
/// zero on `/metrics` from `init` on ([`Outcome::known_codes`](trait@Outcome)).
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
/// `#[outcome(crate = path)]` on the type gives the path of this library, where it is not `ironcore_telemetry`. A
/// variant without a verdict does not compile, and the message names it:
///
/// ```compile_fail
/// #[derive(ironcore_telemetry::Outcome)]
/// enum TransferError {
///     InsufficientFunds,
/// }
/// ```
///
/// Neither does a source that does not implement `Outcome`, nor a code that does not match the pattern:
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
