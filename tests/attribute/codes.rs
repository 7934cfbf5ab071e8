//! The codes of an error type stand at zero from `init` on, before anything happened.

use ironcore_telemetry as telemetry;
use serde_json::json;
use support::{assert_sample, in_child, shutdown_at_once, start};
use telemetry::{KnownCodes, Label, Outcome, OutcomeClass};

#[derive(Debug, Outcome)]
#[expect(dead_code, reason = "nothing happens here")]
enum TransferError {
    #[outcome(rejected)]
    InsufficientFunds,
    #[outcome(failed, code = "signer_unavailable")]
    Signer(u64),
    #[outcome(ok)]
    AlreadyDone,
    #[outcome(forward)]
    Chain(ChainError),
    #[outcome(forward)]
    Custody { source: Box<CustodyError<u8>> },
    #[outcome(forward)]
    Again(Box<TransferError>),
}

#[derive(Debug, Outcome)]
#[outcome(failed, code = "chain_down")]
struct ChainError;

#[derive(Debug, Outcome)]
#[expect(dead_code, reason = "nothing happens here")]
enum CustodyError<T> {
    #[outcome(rejected, code = "custody_refused")]
    Refused(T),
    #[outcome(forward)]
    ByHand(ByHand),
}

#[derive(Debug)]
struct ByHand;

impl Outcome for ByHand {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Failed
    }

    fn code(&self) -> &'static str {
        "by_hand"
    }

    fn known_codes(codes: &mut KnownCodes) {
        codes.add(OutcomeClass::Failed, "by_hand");
    }
}

type Result<T, E = TransferError> = std::result::Result<T, E>;

#[telemetry::instrument_business(wallet)]
fn zero_function() -> std::result::Result<u64, TransferError> {
    Ok(1)
}

#[telemetry::instrument_business(wallet)]
async fn zero_alias<T: Send>(value: T) -> Result<T, TransferError> {
    drop(value);
    Err(TransferError::Chain(ChainError))
}

#[telemetry::instrument_business(wallet)]
fn zero_short_alias() -> Result<u64> {
    Err(TransferError::Signer(1))
}

struct Vault<S>(S);

#[telemetry::instrument_business(wallet)]
impl<S: Clone> Vault<S> {
    async fn zero_method(&self) -> Result<S, TransferError> {
        Ok(self.0.clone())
    }
}

impl<E: Clone> Vault<E> {
    /// `E` belongs to the block, which the attribute does not see.
    #[telemetry::instrument_business(wallet)]
    fn zero_unknown(&self) -> Result<(), E> {
        Err(self.0.clone())
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Wrapped<T: Clone>(T);

impl<Failure: Clone> Vault<Failure> {
    #[telemetry::instrument_business(wallet)]
    fn zero_parameter(&self) -> Result<u8, Failure> {
        Err(self.0.clone())
    }

    #[telemetry::instrument_business(wallet)]
    fn zero_associated(failure: Failure) -> Result<u8, Failure> {
        Err(failure)
    }

    #[telemetry::instrument_business(wallet)]
    async fn zero_nested(&self) -> Result<u8, Wrapped<Failure>> {
        Err(Wrapped(self.0.clone()))
    }

    #[telemetry::instrument_business(wallet)]
    fn zero_method_alone(&self) -> Result<u8, TransferError> {
        Ok(1)
    }
}

struct Named<Error>(Error);

impl<Error: Clone> Named<Error> {
    #[telemetry::instrument_business(wallet)]
    fn zero_error(&self) -> std::result::Result<u8, Error> {
        Err(self.0.clone())
    }
}

#[derive(Clone, Copy, Label)]
enum Side {
    Sell,
}

#[telemetry::instrument_business(wallet, labels(side = side))]
fn zero_labelled(side: Side) -> Result<Side, TransferError> {
    Ok(side)
}

#[telemetry::instrument_business(wallet, err = |_| OutcomeClass::Rejected)]
fn zero_judged() -> Result<(), TransferError> {
    Ok(())
}

#[derive(Outcome)]
enum Many<T> {
    #[outcome(failed)]
    One(T),
}

const CODES: [&str; 6] = [
    r#"outcome="rejected",code="insufficient_funds""#,
    r#"outcome="failed",code="signer_unavailable""#,
    r#"outcome="failed",code="chain_down""#,
    r#"outcome="rejected",code="custody_refused""#,
    r#"outcome="failed",code="by_hand""#,
    r#"outcome="failed",code="error""#,
];

#[test]
fn codes_of_the_error_type_stand_at_zero_before_the_first_call() {
    let child = in_child!(|| {
        let guard = start();
        let before = telemetry::scrape::render();
        zero_labelled(Side::Sell).unwrap();
        zero_short_alias().unwrap_err();
        let page = telemetry::scrape::render();
        shutdown_at_once(&guard);
        json!({ "before": before, "page": page })
    });
    let report = child.run();
    let before = report.result["before"].as_str().unwrap();
    for operation in
        ["zero_function", "zero_alias", "zero_short_alias", "zero_method", "zero_method_alone", "zero_renamed"]
    {
        for code in CODES {
            let series = format!(r#"business_operations_total{{domain="wallet",operation="{operation}",{code}}}"#);
            assert_sample(before, &series, 0);
        }
    }
    // The verdict of `ok` has no code; the codes of a type that does not judge do not occur.
    assert!(!before.contains("already_done"));
    assert!(!before.lines().any(|line| line.contains("zero_judged") && line.contains("chain_down")));
    let labelled = r#"domain="wallet",operation="zero_labelled",outcome="failed",code="chain_down",side="sell""#;
    assert_sample(report.page(), &format!("business_operations_total{{{labelled}}}"), 0);
    let counted = r#"domain="wallet",operation="zero_short_alias",outcome="failed",code="signer_unavailable""#;
    assert_sample(report.page(), &format!("business_operations_total{{{counted}}}"), 1);
}

mod inside {
    use super::TransferError as Renamed;
    use super::telemetry;

    #[telemetry::instrument_business(wallet)]
    pub(super) fn zero_renamed() -> Result<u8, Renamed> {
        Ok(1)
    }
}

#[test]
fn errors_of_the_prelude_and_of_a_function_are_left_alone() {
    #[derive(Debug, PartialEq)]
    struct Local;

    #[telemetry::instrument_business(wallet)]
    fn zero_local() -> Result<u8, Local> {
        Err(Local)
    }

    #[telemetry::instrument_business(wallet)]
    fn zero_text() -> Result<u8, String> {
        Err(String::new())
    }

    assert_eq!((zero_local(), zero_text()), (Err(Local), Err(String::new())));
    assert_eq!(inside::zero_renamed().unwrap(), 1);
}

#[tokio::test]
async fn functions_whose_error_cannot_be_named_work() {
    assert_eq!(Vault(7).zero_unknown(), Err(7));
    assert_eq!(Vault(7).zero_parameter(), Err(7));
    assert_eq!(Vault::zero_associated(7), Err(7));
    assert_eq!(Vault(7).zero_nested().await, Err(Wrapped(7)));
    assert_eq!(Vault(7).zero_method_alone().unwrap(), 1);
    assert_eq!(Named(7).zero_error(), Err(7));
    assert_eq!(Vault(7).zero_method().await.unwrap(), 7);
    assert!(zero_alias(7).await.is_err() && zero_function().is_ok() && zero_judged().is_ok());
    assert_eq!(Many::One(7).code(), "one");
}
