//! `#[instrument_business]` on every kind of function: it compiles without a warning, and records the function's
//! outcome. The tests share one process and its telemetry, so each operation here has its own name.

// The lints of a strict user's crate.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]
#![forbid(unsafe_code)]

use ironcore_telemetry as telemetry;
use std::borrow::Cow;
use std::fmt::Display;
use std::num::ParseIntError;
use std::sync::LazyLock;
use std::time::Duration;
use support::{Receiver, Span, sample, span_named};
use telemetry::{Config, TelemetryGuard};

#[path = "operations/arguments.rs"]
mod arguments;

static TELEMETRY: LazyLock<(Receiver, TelemetryGuard)> = LazyLock::new(|| {
    let receiver = Receiver::start().unwrap();
    let config = Config::new("operations").endpoint(receiver.grpc_url()).metrics_listener(None).log_filter("off");
    let guard = telemetry::init_with(config).unwrap();
    (receiver, guard)
});

fn start() {
    LazyLock::force(&TELEMETRY);
}

/// Waits for the span of an operation.
fn span(name: &str) -> Span {
    span_named(&TELEMETRY.0, name)
}

/// The number of calls that ended with this outcome.
fn count(operation: &str, outcome: &str) -> f64 {
    let page = telemetry::scrape::render();
    sample(
        &page,
        &format!(r#"business_operations_total{{domain="wallet",operation="{operation}",outcome="{outcome}"}}"#),
    )
}

fn counted(operation: &str, outcome: &str) {
    let count = count(operation, outcome);
    assert!((count - 1.0).abs() < f64::EPSILON, "{operation} ended {outcome} {count} times");
}

const ERROR: &str = r#"failed",code="error"#;

struct Ledger {
    balance: u64,
}

impl Ledger {
    #[telemetry::instrument_business(wallet)]
    fn borrowed_mut(&mut self) -> &mut u64 {
        &mut self.balance
    }

    #[telemetry::instrument_business(wallet)]
    async fn borrowed(&self, more: &u64) -> Result<&u64, ParseIntError> {
        let parsed: u64 = "1".parse()?;
        tokio::task::yield_now().await;
        Ok(if *more > parsed { &self.balance } else { &0 })
    }

    #[telemetry::instrument_business(wallet)]
    fn by_value(mut self, add: u64) -> Self {
        self.balance += add;
        self
    }
}

#[telemetry::instrument_business(wallet)]
fn generic<T, const N: usize>(values: [T; N]) -> String
where
    T: Display,
{
    values.into_iter().map(|value| value.to_string()).collect()
}

#[telemetry::instrument_business(wallet)]
fn first_of<'text>(text: &'text str, _other: &str) -> Cow<'text, str> {
    text.split(' ').next().unwrap_or(text).into()
}

#[telemetry::instrument_business(wallet)]
fn opaque(values: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    values.map(|value| value + 1).collect::<Vec<_>>().into_iter()
}

#[telemetry::instrument_business(wallet)]
fn opaque_or_error(text: &str) -> Result<impl Display + use<>, ParseIntError> {
    text.parse::<u8>()
}

#[telemetry::instrument_business(wallet)]
async fn opaque_or_error_async(text: &str) -> Result<impl Display + use<>, ParseIntError> {
    text.parse::<u8>()
}

#[telemetry::instrument_business(wallet)]
async fn one_expression() -> u64 {
    7
}

#[telemetry::instrument_business(wallet)]
fn early_return(early: bool) -> Result<u64, String> {
    if early {
        return Err("early".to_owned());
    }
    Ok(1)
}

#[telemetry::instrument_business(wallet)]
fn shadowed(operation: u64, result: u64, current: u64) -> u64 {
    const SITE: u64 = 1;
    operation + result + current + SITE
}

#[telemetry::instrument_business(wallet)]
fn with_inner_attribute() -> u8 {
    #![expect(clippy::identity_op, reason = "an expectation that the body fulfils")]
    1 + 0
}

#[async_trait::async_trait]
trait Signer {
    async fn sign(&self, fail: bool) -> Result<u64, String>;
}

struct Slow;

#[async_trait::async_trait]
impl Signer for Slow {
    #[telemetry::instrument_business(domain = "wallet", name = "sign_boxed")]
    async fn sign(&self, fail: bool) -> Result<u64, String> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        if fail {
            return Err("the signer is unavailable".to_owned());
        }
        Ok(1)
    }
}

#[tokio::test]
async fn methods_can_borrow_from_their_arguments() {
    start();
    let mut ledger = Ledger { balance: 1 };
    *ledger.borrowed_mut() += 1;
    assert_eq!(ledger.borrowed(&5).await, Ok(&2));
    assert_eq!(ledger.by_value(3).balance, 5);
    for operation in ["borrowed_mut", "borrowed", "by_value"] {
        counted(operation, "ok");
    }
}

#[test]
fn generics_lifetimes_and_opaque_types_work() {
    start();
    assert_eq!(generic([1, 2]), "12");
    assert_eq!(first_of("a b", "c"), "a");
    assert_eq!(opaque([1].into_iter()).next(), Some(2));
    for operation in ["generic", "first_of", "opaque"] {
        counted(operation, "ok");
    }
}

#[tokio::test]
async fn an_error_of_a_result_with_an_opaque_type_is_failed() {
    start();
    assert!(opaque_or_error("x").is_err());
    assert!(opaque_or_error_async("x").await.is_err());
    counted("opaque_or_error", ERROR);
    counted("opaque_or_error_async", ERROR);
}

#[tokio::test]
async fn small_bodies_early_returns_and_common_names_work() {
    start();
    assert_eq!(one_expression().await, 7);
    assert!(early_return(true).is_err() && early_return(false).is_ok());
    assert_eq!(shadowed(1, 2, 3), 7);
    assert_eq!(with_inner_attribute(), 1);
    counted("one_expression", "ok");
    counted("early_return", "ok");
    counted("early_return", ERROR);
    counted("shadowed", "ok");
}

#[tokio::test]
async fn a_method_of_async_trait_has_the_duration_and_outcome_of_its_work() {
    start();
    assert!(Slow.sign(true).await.is_err());
    counted("sign_boxed", ERROR);
    let page = telemetry::scrape::render();
    let slower = r#"business_operation_duration_seconds_bucket{domain="wallet",operation="sign_boxed",outcome="failed",le="0.02"}"#;
    assert!(sample(&page, slower).abs() < f64::EPSILON, "the work took 30 ms");
}
