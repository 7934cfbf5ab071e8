//! A panic of code that only telemetry runs costs the telemetry, never the business.

use super::{assert_ended, count};
use ironcore_telemetry as telemetry;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::task::{Context, Waker};
use telemetry::testing::Capture;
use telemetry::{Label, Outcome, OutcomeClass};

#[telemetry::instrument_business(wallet, err = |_| -> OutcomeClass { panic!("the judge") })]
fn err_panics(fail: bool) -> Result<u8, String> {
    if fail { Err("refused".to_owned()) } else { Ok(7) }
}

#[telemetry::instrument_business(wallet, ok = |_| -> OutcomeClass { panic!("the judge") })]
async fn ok_panics() -> Result<u8, String> {
    tokio::task::yield_now().await;
    Ok(7)
}

/// The payload of the panic panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload");
    }
}

#[telemetry::instrument_business(wallet, err = |_| -> OutcomeClass { panic_any(Bomb) })]
async fn err_panics_twice() -> Result<u8, String> {
    Err("refused".to_owned())
}

#[derive(Debug, PartialEq)]
enum BrokenError {
    Class,
    Code,
}

impl Outcome for BrokenError {
    fn class(&self) -> OutcomeClass {
        assert!(*self != Self::Class, "the class");
        OutcomeClass::Rejected
    }

    fn code(&self) -> &'static str {
        panic!("the code");
    }
}

#[telemetry::instrument_business(wallet)]
fn outcome_panics(error: BrokenError) -> Result<(), BrokenError> {
    Err(error)
}

#[telemetry::instrument_business(wallet)]
async fn outcome_panics_later(error: BrokenError) -> Result<(), BrokenError> {
    tokio::task::yield_now().await;
    Err(error)
}

#[tokio::test]
async fn a_judge_that_panics_costs_the_verdict_and_not_the_value() {
    let capture = Capture::new();
    assert_eq!(capture.run(|| err_panics(true)), Err("refused".to_owned()));
    assert_ended(&capture, "err_panics", "panicked", "", 1);
    assert_eq!(capture.run(|| err_panics(false)), Ok(7));
    assert_eq!(count(&capture, "err_panics", "ok", ""), 1);
    assert_eq!(capture.run_async(ok_panics()).await, Ok(7));
    assert_ended(&capture, "ok_panics", "panicked", "", 1);
    assert_eq!(capture.run_async(err_panics_twice()).await, Err("refused".to_owned()));
    assert_ended(&capture, "err_panics_twice", "panicked", "", 1);
    for error in [BrokenError::Class, BrokenError::Code] {
        let name = format!("{error:?}");
        let returned = capture.run(|| outcome_panics(error));
        assert_eq!(format!("{returned:?}"), format!("Err({name})"));
    }
    assert_ended(&capture, "outcome_panics", "panicked", "", 2);
    assert_eq!(capture.run_async(outcome_panics_later(BrokenError::Code)).await, Err(BrokenError::Code));
    assert_ended(&capture, "outcome_panics_later", "panicked", "", 1);
    for span in capture.spans() {
        let expected = if span.attribute("ironcore.outcome") == Some("ok") { None } else { Some("judge_panicked") };
        assert_eq!(span.attribute("error.type"), expected, "{span:?}");
    }
}

/// Text that panics in the middle.
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("begun, ")?;
        panic!("Display");
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("Debug");
    }
}

#[telemetry::instrument_business(
    wallet,
    fields(before = 1, shown = %value, dumped = ?value, computed = amounts[amounts.len()], after = amounts.len())
)]
async fn fields_panic(value: &Broken, amounts: &[u64]) -> Result<usize, String> {
    Ok(amounts.len())
}

#[tokio::test]
async fn a_field_that_panics_is_replaced_by_a_mark() {
    let capture = Capture::new();
    assert_eq!(capture.run_async(fields_panic(&Broken, &[1, 2])).await, Ok(2));
    assert_ended(&capture, "fields_panic", "ok", "", 1);
    let span = &capture.spans()[0];
    for (key, value) in [
        ("before", "1"),
        ("shown", "begun, <panicked>"),
        ("dumped", "<panicked>"),
        ("computed", "<panicked>"),
        ("after", "2"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
}

#[derive(Clone, Copy, Label)]
enum Side {
    Sell,
}

#[telemetry::instrument_business(wallet, labels(side = sides[at], large = at > 7), fields(at = at))]
fn labels_panic(sides: &[Side], at: usize) -> usize {
    at + sides.len()
}

#[test]
fn a_label_that_panics_is_other_and_the_call_is_counted() {
    let capture = Capture::new();
    assert_eq!(capture.run(|| labels_panic(&[Side::Sell], 0)), 1);
    assert_eq!(capture.run(|| labels_panic(&[Side::Sell], 9)), 10);
    let counted = |side, large| {
        let labels = [("operation", "labels_panic"), ("outcome", "ok"), ("side", side), ("large", large)];
        capture.value("business_operations_total", &labels)
    };
    assert_eq!((counted("sell", "false"), counted("_OTHER", "_OTHER")), (1, 1));
    assert_eq!(capture.value("business_operations_in_flight", &[]), 0);
    assert_eq!(capture.spans().len(), 2);
}

/// Panics when its future is cancelled.
struct BrokenGuard;

impl Drop for BrokenGuard {
    fn drop(&mut self) {
        panic!("Drop");
    }
}

#[telemetry::instrument_business(wallet)]
async fn destructor_panics() {
    let _guard = BrokenGuard;
    std::future::pending::<()>().await;
}

#[test]
fn a_cancelled_call_whose_destructor_panics_is_counted() {
    let capture = Capture::new();
    let cancelled = || {
        let mut call = Box::pin(destructor_panics());
        let mut task = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut task).is_pending());
    };
    catch_unwind(AssertUnwindSafe(|| capture.run(cancelled))).unwrap_err();
    assert_ended(&capture, "destructor_panics", "panicked", "", 1);
}
