//! The error that an operation returned: recorded when the attribute says so; and logged once, however many operations
//! pass it on.

use super::lines;
use ironcore_telemetry as telemetry;
use std::error::Error;
use std::fmt;
use telemetry::testing::Capture;
use telemetry::{Outcome, OutcomeClass, Secret};

#[derive(Debug, thiserror::Error)]
#[error("timed out after {0} s")]
struct Timeout(u64);

#[derive(Debug, thiserror::Error)]
enum SignerError {
    #[error("the signer is unavailable")]
    Unavailable(#[from] Timeout),
}

#[derive(Debug, thiserror::Error, Outcome)]
enum PaymentError {
    #[error("cannot pay: {0}")]
    #[outcome(failed)]
    Signer(#[from] SignerError),
    #[error("the limit is reached")]
    #[outcome(rejected)]
    Limit,
    #[error("the ledger is broken")]
    #[outcome(failed)]
    Ledger,
}

fn signer_error() -> SignerError {
    Timeout(7).into()
}

/// An error that can only be displayed.
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("shown only")
    }
}

#[telemetry::instrument_business(wallet, record_error)]
async fn recorded(fail: u8) -> Result<u8, PaymentError> {
    tokio::task::yield_now().await;
    match fail {
        0 => Ok(1),
        1 => Err(signer_error().into()),
        _ => Err(PaymentError::Limit),
    }
}

#[telemetry::instrument_business(wallet, record_error, err = |_| OutcomeClass::Rejected)]
fn recorded_boxed() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(signer_error().into())
}

#[telemetry::instrument_business(wallet, record_error)]
fn recorded_boxed_alone() -> Result<(), Box<dyn Error>> {
    Err(signer_error().into())
}

#[telemetry::instrument_business(wallet, record_error)]
fn recorded_text() -> Result<(), Shown> {
    Err(Shown)
}

#[telemetry::instrument_business(wallet, record_error)]
fn recorded_long() -> Result<(), String> {
    Err("x".repeat(100_000))
}

#[telemetry::instrument_business(wallet)]
fn not_recorded() -> Result<(), PaymentError> {
    Err(signer_error().into())
}

#[tokio::test]
async fn record_error_records_the_error_with_its_sources() {
    const CHAIN: &str = "cannot pay: the signer is unavailable: timed out after 7 s";
    let capture = Capture::new();
    capture.run_async(recorded(0)).await.unwrap();
    assert!(!is_recorded(&capture, 0) && !lines(&capture)[0].2.contains(r#""error":"#));
    capture.run_async(recorded(1)).await.unwrap_err();
    let line = &lines(&capture)[1];
    assert!(line.0 == "ERROR" && line.2.contains(&format!(r#""error":"{CHAIN}""#)), "{line:?}");
    assert!(is_recorded(&capture, 1));
    capture.run_async(recorded(2)).await.unwrap_err();
    let line = &lines(&capture)[2];
    assert!(line.0 == "INFO" && line.2.contains(r#""error":"the limit is reached""#), "{line:?}");
    for (run, text) in [
        (Box::new(|| drop(recorded_boxed())) as Box<dyn Fn()>, "the signer is unavailable: timed out after 7 s"),
        (Box::new(|| drop(recorded_boxed_alone())), "the signer is unavailable: timed out after 7 s"),
        (Box::new(|| drop(recorded_text())), "shown only"),
    ] {
        let capture = Capture::new();
        capture.run(run);
        let line = &lines(&capture)[0];
        assert!(line.2.contains(&format!(r#""error":"{text}""#)), "{line:?}");
        assert!(is_recorded(&capture, 0));
    }
    let capture = Capture::new();
    capture.run(|| drop(recorded_long()));
    assert!(lines(&capture)[0].2.len() < 9_000);
}

#[telemetry::instrument_business(wallet, record_error)]
fn recorded_address() -> Result<(), String> {
    Err("GET https://user:pw7@node/v1?api_key=s3cr3tvalue failed".to_owned())
}

#[test]
fn a_recorded_error_tells_no_credentials_of_an_address() {
    let capture = Capture::new();
    capture.run(recorded_address).unwrap_err();
    assert!(lines(&capture)[0].2.contains(r#""error":"GET https://node/v1 failed""#));
    assert!(is_recorded(&capture, 0));
    capture.assert_absent("s3cr3t");
    capture.assert_absent("pw7");
}

fn is_recorded(capture: &Capture, span: usize) -> bool {
    capture.spans()[span].events.iter().any(|event| event == "exception")
}

#[test]
fn an_error_is_not_recorded_by_default() {
    let capture = Capture::new();
    capture.run(not_recorded).unwrap_err();
    // Inside of another one its text is compared, and stays inside.
    capture.run(passes_on_unrecorded).unwrap_err();
    capture.assert_absent("timed out");
    capture.assert_absent("unavailable");
}

#[telemetry::instrument_business(wallet)]
fn passes_on_unrecorded() -> Result<(), Box<dyn Error>> {
    Ok(not_recorded()?)
}

#[telemetry::instrument_business(wallet)]
async fn sign(fail: bool) -> Result<u8, SignerError> {
    tokio::task::yield_now().await;
    if fail { Err(signer_error()) } else { Ok(1) }
}

#[telemetry::instrument_business(wallet)]
async fn pay(fail: bool) -> Result<u8, PaymentError> {
    Ok(sign(fail).await?)
}

#[telemetry::instrument_business(wallet)]
async fn order() -> Result<u8, String> {
    pay(true).await.map_err(|error| format!("no order: {error}"))
}

fn levels(capture: &Capture) -> Vec<(String, String)> {
    lines(capture).into_iter().map(|(level, operation, _)| (level, operation)).collect()
}

fn expected(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|(level, operation)| ((*level).to_owned(), format!("wallet.{operation}"))).collect()
}

#[tokio::test]
async fn one_failure_of_nested_operations_is_one_error_line() {
    let capture = Capture::new();
    capture.run_async(order()).await.unwrap_err();
    assert_eq!(levels(&capture), expected(&[("ERROR", "sign"), ("INFO", "pay"), ("INFO", "order")]));
    for (_, operation, line) in lines(&capture) {
        let says = line.contains(r#""caused_by":"wallet.sign""#);
        assert_eq!(says, operation != "wallet.sign", "{line}");
        assert!(line.contains(r#""outcome":"failed""#), "{line}");
    }
    assert!(capture.spans().iter().all(|span| span.is_error));
}

#[telemetry::instrument_business(wallet)]
async fn handles_then_fails() -> Result<u8, PaymentError> {
    if sign(true).await.is_err() {
        // Handled.
    }
    Err(PaymentError::Ledger)
}

#[telemetry::instrument_business(wallet)]
async fn tries_again() -> Result<u8, SignerError> {
    if let Err(error) = sign(true).await {
        sign(false).await?;
        return Err(error);
    }
    Ok(1)
}

#[telemetry::instrument_business(wallet)]
async fn fails_in_a_later_poll() -> Result<u8, SignerError> {
    let failed = sign(true).await;
    tokio::task::yield_now().await;
    drop(failed);
    Err(SignerError::Unavailable(Timeout(8)))
}

#[telemetry::instrument_business(wallet)]
fn fails_alone() -> Result<u8, PaymentError> {
    Err(PaymentError::Ledger)
}

#[tokio::test]
async fn another_failure_is_another_error_line() {
    let capture = Capture::new();
    capture.run_async(handles_then_fails()).await.unwrap_err();
    assert_eq!(levels(&capture), expected(&[("ERROR", "sign"), ("ERROR", "handles_then_fails")]));
    let capture = Capture::new();
    capture.run_async(fails_in_a_later_poll()).await.unwrap_err();
    assert_eq!(levels(&capture), expected(&[("ERROR", "sign"), ("ERROR", "fails_in_a_later_poll")]));
    // Two failures, one after the other, are two lines.
    let capture = Capture::new();
    capture.run_async(async { drop((sign(true).await, fails_alone())) }).await;
    assert_eq!(levels(&capture), expected(&[("ERROR", "sign"), ("ERROR", "fails_alone")]));
    // A failure is not known beyond its poll: better one line too many.
    let capture = Capture::new();
    capture.run_async(tries_again()).await.unwrap_err();
    let levels: Vec<_> = levels(&capture).into_iter().filter(|(level, _)| level == "ERROR").collect();
    assert_eq!(levels, expected(&[("ERROR", "sign"), ("ERROR", "tries_again")]));
}

#[telemetry::instrument_business(wallet)]
fn unit_error() -> Result<(), ()> {
    Err(())
}

#[telemetry::instrument_business(wallet)]
async fn optional_error(error: Option<Silent>) -> Result<(), Option<Silent>> {
    tokio::task::yield_now().await;
    Err(error)
}

#[tokio::test]
async fn an_error_of_a_type_that_is_ok_as_a_value_is_failed() {
    let capture = Capture::new();
    capture.run(unit_error).unwrap_err();
    super::assert_ended(&capture, "unit_error", "failed", "error", 1);
    for (error, code) in [(None, "error"), (Some(Silent::One), "one")] {
        let capture = Capture::new();
        capture.run_async(optional_error(error)).await.unwrap_err();
        super::assert_ended(&capture, "optional_error", "failed", code, 1);
    }
}

struct NoWords;

#[telemetry::instrument_business(wallet)]
fn without_words() -> Result<(), NoWords> {
    Err(NoWords)
}

#[telemetry::instrument_business(wallet)]
fn ignored_without_words() -> Result<(), String> {
    let _ = without_words();
    Err("database is down".to_owned())
}

#[telemetry::instrument_business(wallet)]
fn says(text: &str) -> Result<(), String> {
    Err(text.to_owned())
}

#[telemetry::instrument_business(wallet)]
fn ignores(inner: &str, outer: &str) -> Result<(), String> {
    let _ = says(inner);
    Err(outer.to_owned())
}

#[telemetry::instrument_business(wallet)]
fn says_nothing() {}

#[telemetry::instrument_business(wallet)]
fn passes_on_later() -> Result<(), String> {
    let failed = says("declined");
    says_nothing();
    failed
}

#[test]
fn an_error_that_only_looks_alike_keeps_its_line() {
    let capture = Capture::new();
    capture.run(ignored_without_words).unwrap_err();
    assert_eq!(levels(&capture), expected(&[("ERROR", "without_words"), ("ERROR", "ignored_without_words")]));
    for (inner, outer, level) in [
        ("down", "database is down", "ERROR"),
        ("down", "shut-down", "ERROR"),
        ("", "down", "ERROR"),
        ("down", "down", "INFO"),
        ("down", "database: down", "INFO"),
    ] {
        let capture = Capture::new();
        capture.run(|| ignores(inner, outer)).unwrap_err();
        assert_eq!(levels(&capture), expected(&[("ERROR", "says"), (level, "ignores")]), "{inner} in {outer}");
    }
}

#[test]
fn what_went_well_in_between_makes_no_second_line() {
    let capture = Capture::new();
    capture.run(passes_on_later).unwrap_err();
    let levels: Vec<_> = levels(&capture).into_iter().filter(|(level, _)| level != "DEBUG").collect();
    assert_eq!(levels, expected(&[("ERROR", "says"), ("INFO", "passes_on_later")]));
}

/// An error without a text: codes are compared.
#[derive(Debug, PartialEq)]
enum Silent {
    One,
    Other,
}

impl Outcome for Silent {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Failed
    }

    fn code(&self) -> &'static str {
        if *self == Self::One { "one" } else { "other" }
    }
}

#[telemetry::instrument_business(wallet)]
fn silent() -> Result<(), Silent> {
    Err(Silent::One)
}

#[telemetry::instrument_business(wallet)]
fn around_silent(other: bool) -> Result<(), Silent> {
    if other { silent().map_err(|_| Silent::Other) } else { silent() }
}

#[test]
fn errors_without_a_text_are_compared_by_their_codes() {
    for (other, level) in [(false, "INFO"), (true, "ERROR")] {
        let capture = Capture::new();
        capture.run(|| around_silent(other)).unwrap_err();
        assert_eq!(levels(&capture), expected(&[("ERROR", "silent"), (level, "around_silent")]));
    }
}

#[telemetry::instrument_business(wallet)]
fn secret_error() -> Result<(), Secret<String>> {
    Err("abandon ability able".into())
}

#[telemetry::instrument_business(wallet)]
fn around_secret() -> Result<(), Secret<String>> {
    secret_error()
}

#[telemetry::instrument_business(wallet)]
fn panics() -> u8 {
    panic!("as said")
}

#[test]
fn a_secret_has_no_text_and_a_panic_is_a_warning() {
    let capture = Capture::new();
    assert!(capture.run(around_secret).is_err());
    assert_eq!(levels(&capture), expected(&[("ERROR", "secret_error"), ("INFO", "around_secret")]));
    capture.assert_absent("abandon");
    let capture = Capture::new();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| capture.run(panics))).unwrap_err();
    assert_eq!(levels(&capture), expected(&[("WARN", "panics")]));
}
