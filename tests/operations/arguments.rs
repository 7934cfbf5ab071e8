//! The arguments of the attribute, the derives and instrumented blocks, checked on `/metrics` and on spans.

use super::{ERROR, counted, span, start};
use ironcore_telemetry as telemetry;
use std::num::ParseIntError;
use support::sample;
use telemetry::{Label, Outcome, OutcomeClass};

#[derive(Clone, Copy, Label)]
enum Asset {
    Eth,
    #[label("wbtc")]
    WrappedBtc,
}

#[telemetry::instrument_business(wallet, labels(asset = asset, urgent = amount > 7))]
async fn labelled(asset: Asset, amount: u64) -> Result<u64, String> {
    Err(format!("no {amount}"))
}

#[tokio::test]
async fn every_combination_of_labels_is_on_the_page_from_the_first_call_on() {
    start();
    assert!(labelled(Asset::WrappedBtc, 9).await.is_err());
    assert!(labelled(Asset::Eth, 1).await.is_err());
    assert!(labelled(Asset::Eth, 2).await.is_err());
    let page = telemetry::scrape::render();
    for (asset, urgent, times) in
        [("eth", "false", 2.0), ("eth", "true", 0.0), ("wbtc", "false", 0.0), ("wbtc", "true", 1.0)]
    {
        let series = format!(
            r#"business_operations_total{{domain="wallet",operation="labelled",outcome="{ERROR}",asset="{asset}",urgent="{urgent}"}}"#
        );
        let count = sample(&page, &series);
        assert!((count - times).abs() < f64::EPSILON, "{series} {count}");
    }
    let catalog = telemetry::catalog();
    let entry = catalog.iter().find(|entry| entry.operation == "labelled").unwrap();
    assert_eq!(entry.labels, ["asset", "urgent"]);
}

#[telemetry::instrument_business(
    wallet,
    err = |error: &String| (OutcomeClass::Rejected, if error == "late" { "late" } else { "other" }),
    ok = |text: &String| sold(text)
)]
fn judged(text: &str) -> Result<String, String> {
    match text {
        "early" | "" => Ok(text.to_owned()),
        _ => Err(text.to_owned()),
    }
}

fn sold(text: &str) -> OutcomeClass {
    if text.is_empty() { OutcomeClass::Failed } else { OutcomeClass::Ok }
}

#[telemetry::instrument_business(wallet, err = |_| OutcomeClass::Rejected)]
async fn judged_by_error_alone(fail: bool) -> Result<(), String> {
    if fail { Err(String::new()) } else { Ok(()) }
}

#[telemetry::instrument_business(wallet, ok = |_| (OutcomeClass::Rejected, "too_late"))]
async fn judged_by_value_alone(fail: bool) -> Result<u8, TransferError> {
    if fail { Err(TransferError::InsufficientFunds) } else { Ok(1) }
}

#[tokio::test]
async fn err_and_ok_give_the_verdict_and_the_side_not_given_keeps_that_of_its_type() {
    start();
    for text in ["early", "", "late", "later"] {
        let _ = judged(text);
    }
    counted("judged", "ok");
    counted("judged", "failed");
    counted("judged", r#"rejected",code="late"#);
    counted("judged", r#"rejected",code="other"#);
    for fail in [false, true] {
        let _ = judged_by_error_alone(fail).await;
        let _ = judged_by_value_alone(fail).await;
    }
    counted("judged_by_error_alone", "ok");
    counted("judged_by_error_alone", "rejected");
    counted("judged_by_value_alone", r#"rejected",code="insufficient_funds"#);
    counted("judged_by_value_alone", r#"rejected",code="too_late"#);
}

#[derive(Debug, Outcome)]
enum TransferError {
    #[outcome(rejected)]
    InsufficientFunds,
    #[outcome(failed, code = "signer_unavailable")]
    Signer(#[expect(dead_code, reason = "a field that gives no verdict")] u64),
    #[outcome(ok, code = "was_done")]
    AlreadyDone,
    #[outcome(forward)]
    Custody(CustodyError<u8>),
    #[outcome(forward)]
    Chain {
        #[expect(dead_code, reason = "a field beside the source")]
        block: u64,
        #[source]
        source: ChainError,
    },
}

/// Generic: the derive bounds only the types that it forwards to.
#[derive(Debug, Outcome)]
enum CustodyError<T> {
    #[outcome(rejected, code = "custody_refused")]
    Refused(T),
}

#[derive(Debug, Outcome)]
#[outcome(failed)]
struct ChainError;

#[derive(Debug, Outcome)]
#[outcome(forward)]
struct Wrapped<E>(E);

#[telemetry::instrument_business(wallet)]
fn derived(error: TransferError) -> Result<(), Wrapped<TransferError>> {
    Err(Wrapped(error))
}

#[test]
fn derived_and_forwarded_outcomes_are_counted() {
    start();
    for error in [
        TransferError::InsufficientFunds,
        TransferError::Signer(3),
        TransferError::AlreadyDone,
        TransferError::Custody(CustodyError::Refused(1)),
        TransferError::Chain { block: 7, source: ChainError },
    ] {
        assert!(derived(error).is_err());
    }
    counted("derived", r#"rejected",code="insufficient_funds"#);
    counted("derived", r#"failed",code="signer_unavailable"#);
    counted("derived", "ok");
    counted("derived", r#"rejected",code="custody_refused"#);
    counted("derived", r#"failed",code="chain_error"#);
    assert_eq!(TransferError::AlreadyDone.code(), "was_done");
}

struct Desk {
    opened: u64,
}

#[telemetry::instrument_business(wallet)]
impl Desk {
    #[telemetry::instrument_business(skip)]
    const fn new() -> Self {
        Self { opened: 0 }
    }

    fn desk_open(&mut self) {
        self.opened += 1;
    }

    #[telemetry::instrument_business(name = "desk_shut", err = |_| OutcomeClass::Rejected)]
    async fn shut(&mut self, at: &str) -> Result<(), ParseIntError> {
        self.opened -= at.parse::<u64>()?;
        Ok(())
    }
}

#[tokio::test]
async fn a_block_instruments_its_methods_except_those_that_opt_out() {
    start();
    let mut desk = Desk::new();
    desk.desk_open();
    assert!(desk.shut("now").await.is_err());
    counted("desk_open", "ok");
    counted("desk_shut", "rejected");
    let catalog = telemetry::catalog();
    assert!(!catalog.iter().any(|entry| entry.operation == "new"));
}

#[telemetry::instrument_business(
    wallet,
    name = "with_fields",
    fields(
        chain.id = 1_u8 + 2,
        owner = owner,
        shown = %amounts.len(),
        dumped = ?amounts,
        moved = text.as_str(),
    )
)]
async fn fields(owner: &str, amounts: &mut Vec<u64>, text: String) -> String {
    amounts.clear();
    owner.to_owned() + &text
}

#[tokio::test]
async fn fields_are_on_the_span_with_their_values_from_before_the_body() {
    start();
    let mut amounts = vec![1, 2];
    let back = fields("alice", &mut amounts, "text".to_owned()).await;
    assert_eq!((back.as_str(), amounts.len()), ("alicetext", 0));
    let span = span("wallet.with_fields");
    for (key, value) in [
        ("chain.id", "3"),
        ("owner", "alice"),
        ("shown", "2"),
        ("dumped", "[1, 2]"),
        ("moved", "text"),
        ("ironcore.outcome", "ok"),
    ] {
        assert_eq!(span.attribute(key), Some(value), "{key}");
    }
}

#[telemetry::instrument_business(wallet, labels(kind = kind))]
fn generic_label<L: Label>(kind: L) -> usize {
    kind.index()
}

#[test]
fn a_generic_function_counts_each_label_type_under_its_own_values() {
    start();
    generic_label(Asset::WrappedBtc);
    generic_label(true);
    generic_label(true);
    let page = telemetry::scrape::render();
    for (kind, times) in [("wbtc", 1.0), ("true", 2.0)] {
        let series = format!(
            r#"business_operations_total{{domain="wallet",operation="generic_label",outcome="ok",kind="{kind}"}}"#
        );
        assert!((sample(&page, &series) - times).abs() < f64::EPSILON, "{series}");
    }
}
