//! `telemetry::testing::Capture`: the telemetry of one test, apart from all others.

use ironcore_telemetry as telemetry;
use telemetry::testing::Capture;

#[telemetry::instrument_business]
async fn send_payment(amount: i64) -> Result<i64, String> {
    tracing::info!(amount, "sending");
    tokio::task::yield_now().await;
    if amount < 0 { Err("refused".to_owned()) } else { Ok(amount) }
}

#[telemetry::instrument_business]
fn create_user(name: &str) {
    tracing::warn!(name, "created");
}

#[tokio::test]
async fn an_operation_is_captured_as_span_metrics_and_log_line() {
    let capture = Capture::new();
    capture.run_async(send_payment(7)).await.unwrap();
    capture.assert_operation("payment.send", "ok");
    capture.assert_label_within("business_operations_total", "domain", &["payment"]);
    let span = &capture.spans()[0];
    assert_eq!((span.attribute("ironcore.domain"), span.is_error), (Some("payment"), false));
    let line = &capture.log_lines()[0];
    assert!(line.contains(&span.trace_id) && line.contains(r#""amount":7"#), "{line}");
    assert_eq!(capture.value("business_operations_in_flight", &[]), 0);
}

#[telemetry::instrument_business]
async fn execute_swap() {
    tracing::info!("quoted");
    create_user("ada");
    tokio::task::yield_now().await;
    tracing::info!("settled");
}

#[tokio::test]
async fn a_line_names_the_innermost_operation_that_it_was_written_in() {
    let capture = Capture::new();
    let beside = async {
        tracing::info!("before");
        let (sent, ()) = tokio::join!(send_payment(7), execute_swap());
        sent.unwrap();
        tracing::info!("after");
    };
    capture.run_async(beside).await;
    let lines = capture.log_lines();
    let operation_of = |message: &str| {
        let message = format!(r#""message":"{message}""#);
        let line = lines.iter().find(|line| line.contains(&message)).unwrap();
        line.split(r#","operation":"#).nth(1).map(str::trim_end)
    };
    for (message, operation) in [
        ("before", None),
        ("sending", Some(r#""payment.send"}"#)),
        ("quoted", Some(r#""swap.execute"}"#)),
        ("created", Some(r#""user.create"}"#)),
        ("settled", Some(r#""swap.execute"}"#)),
        ("after", None),
    ] {
        assert_eq!(operation_of(message), operation, "{message}");
    }
}

#[tokio::test]
async fn concurrent_captures_see_only_their_own_telemetry() {
    let tasks = (0..50_i64).map(|amount| {
        tokio::spawn(async move {
            let capture = Capture::new();
            let amount = if amount % 2 == 0 { amount } else { -amount };
            let _ = capture.run_async(send_payment(amount)).await;
            capture.assert_operation("payment.send", if amount < 0 { "failed" } else { "ok" });
            assert_eq!(capture.spans().len(), 1);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(!telemetry::scrape::render().contains("payment"), "the process has recorded nothing");
}

#[test]
fn calls_outside_of_a_capture_are_not_recorded() {
    let capture = Capture::new();
    create_user("outside");
    capture.run(|| create_user("inside"));
    create_user("outside");
    capture.assert_operation("user.create", "ok");
    assert_eq!(capture.spans()[0].events, ["created"]);
    capture.assert_absent("outside");
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----";

#[test]
fn a_key_in_a_log_line_is_masked_before_it_leaves() {
    let capture = Capture::new();
    capture.run(|| create_user(KEY));
    let masked = |line: &String| line.contains(r#""name":"[REDACTED:pem]""#);
    assert!(capture.log_lines().iter().any(masked), "{:?}", capture.log_lines());
}

#[telemetry::instrument_business]
fn update_user(key: &'static str) {
    telemetry::set_attribute("user.note", key);
}

#[test]
fn assert_no_secrets_finds_a_key_that_the_code_records() {
    let capture = Capture::new();
    capture.run(|| update_user(KEY));
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| capture.assert_no_secrets()));
    assert!(found.is_err());
    let capture = Capture::new();
    capture.run(|| create_user("alice"));
    capture.assert_no_secrets();
}

#[test]
#[should_panic(expected = "expected one operation user.create that ended failed")]
fn a_failed_assertion_names_the_expected_operation_and_outcome() {
    let capture = Capture::new();
    capture.run(|| create_user("alice"));
    capture.assert_operation("user.create", "failed");
}

/// A handler with an instrument of its own, made when it is first used.
#[telemetry::instrument_business]
fn pay_out_payment(amount: u64) {
    static PAID: std::sync::LazyLock<opentelemetry::metrics::Histogram<u64>> =
        std::sync::LazyLock::new(|| opentelemetry::global::meter("payments").u64_histogram("paid").build());
    PAID.record(amount, &[opentelemetry::KeyValue::new("kind", "payout")]);
}

#[test]
fn instruments_of_the_service_measure_into_the_capture_that_is_current() {
    let (first, second) = (Capture::new(), Capture::new());
    first.run(|| (pay_out_payment(7), pay_out_payment(8)));
    second.run(|| pay_out_payment(9));
    pay_out_payment(10);
    assert_eq!(first.measurements("paid", &[("kind", "payout")]), [7.0, 8.0]);
    assert_eq!(second.measurements("paid", &[]), [9.0]);
    assert!(second.measurements("paid", &[("kind", "refund")]).is_empty());
}
