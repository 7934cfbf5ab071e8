//! Parentage, sampling and endings of operations, as the collector sees them.

#[path = "support/payments.rs"]
mod payments;

use ironcore_telemetry as telemetry;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use payments::pay_with_every_ending;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use support::{Receiver, Span, assert_sample, in_child, multi_thread, shutdown, start};
use tracing::Instrument as _;

#[telemetry::instrument_business]
fn create_wallet() {}

#[telemetry::instrument_business]
async fn send_transaction() -> Result<(), String> {
    tokio::task::yield_now().await;
    tracing::info!("inside");
    Ok(())
}

#[telemetry::instrument_business]
async fn outer_swap() {
    tokio::task::yield_now().await;
    async {
        tokio::task::yield_now().await;
        send_transaction().await.unwrap();
    }
    .instrument(tracing::info_span!("tracing_inner"))
    .await;
}

#[test]
fn tracing_spans_and_operations_nest_in_any_order_and_neighbours_stay_apart() {
    let child = in_child!(|| {
        let guard = start();
        // `tracing` → ours → `tracing` → ours, over await points, with a neighbour task in between.
        multi_thread().block_on(async {
            let neighbour = tokio::spawn(send_transaction());
            outer_swap().instrument(tracing::info_span!("tracing_outer")).await;
            neighbour.await.unwrap().unwrap();
        });
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert_eq!(report.lost(), None);
    let spans = receiver.spans();
    assert_eq!(spans.len(), 5);
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let ancestors = |span: &Span| {
        let mut names = vec![span.name.clone()];
        let mut parent = span.parent_span_id.clone();
        while let Some(id) = parent {
            let above = by_id[id.as_str()];
            assert_eq!(above.trace_id, span.trace_id);
            names.push(above.name.clone());
            parent = above.parent_span_id.clone();
        }
        names
    };
    let mut sends: Vec<_> = spans.iter().filter(|span| span.name == "transaction.send").map(ancestors).collect();
    sends.sort_by_key(Vec::len);
    assert_eq!(sends[0], ["transaction.send"], "the neighbour task has a trace of its own");
    assert_eq!(sends[1], ["transaction.send", "tracing_inner", "swap.outer", "tracing_outer"]);
    let inside: Vec<_> = report.log().into_iter().filter(|line| line["message"] == "inside").collect();
    assert_eq!(inside.len(), 2);
    for line in inside {
        let span = by_id[line["span_id"].as_str().unwrap()];
        assert_eq!(
            (span.name.as_str(), line["trace_id"].as_str().unwrap()),
            ("transaction.send", span.trace_id.as_str())
        );
    }
}

const CALLERS_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLERS_SPAN: &str = "b7ad6b7169203331";

/// An operation in the context of a caller whose span is not sampled.
fn called_without_sampling() -> Value {
    let guard = start();
    let caller = SpanContext::new(
        TraceId::from_hex(CALLERS_TRACE).unwrap(),
        SpanId::from_hex(CALLERS_SPAN).unwrap(),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::NONE,
    );
    let caller = opentelemetry::Context::new().with_remote_span_context(caller);
    multi_thread().block_on(send_transaction().with_context(caller)).unwrap();
    let page = telemetry::scrape::render();
    json!({ "page": page, "lost": shutdown(&guard) })
}

#[test]
fn an_operation_under_an_unsampled_caller_makes_no_span_but_counts_and_keeps_the_ids() {
    let child = in_child!(called_without_sampling);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert!(receiver.spans().is_empty());
    assert_sample(report.page(), r#"business_operations_total{domain="transaction",operation="send",outcome="ok"}"#, 1);
    let line = report.log().into_iter().find(|line| line["message"] == "inside").unwrap();
    assert_eq!(line["trace_id"], CALLERS_TRACE);
    assert_eq!(line["span_id"], CALLERS_SPAN);
    assert_eq!(line["sampled"], false);
}

#[test]
fn a_sampler_that_ignores_the_caller_decides_about_operations_too() {
    let child = in_child!(called_without_sampling);
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).env("OTEL_TRACES_SAMPLER", "always_on").run();
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.trace_id, CALLERS_TRACE);
    assert_eq!(span.parent_span_id.as_deref(), Some(CALLERS_SPAN));
}

/// Payments that end in every way; the page before them and after.
fn every_ending() -> Value {
    let guard = start();
    let at_zero = telemetry::scrape::render();
    multi_thread().block_on(pay_with_every_ending());
    let page = telemetry::scrape::render();
    json!({ "at_zero": at_zero, "page": page, "lost": shutdown(&guard) })
}

#[test]
fn every_ending_has_its_outcome_in_the_counter_and_on_the_span() {
    let child = in_child!(every_ending);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let spans: HashMap<_, _> = receiver
        .spans()
        .into_iter()
        .map(|span| (span.attribute("ironcore.outcome").unwrap().to_owned(), span))
        .collect();
    for (outcome, code, status, error) in [
        ("ok", "", "unset", None),
        ("rejected", "insufficient_funds", "unset", Some("insufficient_funds")),
        ("failed", "signer_unavailable", "error", Some("signer_unavailable")),
        ("panicked", "", "error", Some("panicked")),
        ("cancelled", "", "unset", Some("cancelled")),
    ] {
        let code = if code.is_empty() { String::new() } else { format!(",code=\"{code}\"") };
        let labels = format!("{{domain=\"payment\",operation=\"pay\",outcome=\"{outcome}\"");
        assert_sample(report.page(), &format!("business_operations_total{labels}{code}}}"), 1);
        assert_sample(report.page(), &format!("business_operation_duration_seconds_count{labels}}}"), 1);
        let span = &spans[outcome];
        assert_eq!((span.name.as_str(), span.status, span.attribute("error.type")), ("payment.pay", status, error));
        assert_eq!(span.attribute("code.function.name"), Some("spans::payments::pay"));
    }
}

#[test]
fn counters_stand_at_zero_before_the_first_call() {
    let child = in_child!(every_ending);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let page = report.result["at_zero"].as_str().unwrap();
    for labels in
        ["outcome=\"ok\"", "outcome=\"failed\",code=\"error\"", "outcome=\"cancelled\"", "outcome=\"panicked\""]
    {
        assert_sample(page, &format!("business_operations_total{{domain=\"payment\",operation=\"pay\",{labels}}}"), 0);
    }
}

#[test]
fn the_closing_line_has_the_level_of_the_outcome_and_the_ids_of_the_span() {
    let child = in_child!(every_ending);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("RUST_LOG", "debug").run();
    let lines: HashMap<_, _> = report
        .log()
        .into_iter()
        .filter(|line| line["target"] == "business")
        .map(|line| (line["outcome"].as_str().unwrap().to_owned(), line))
        .collect();
    let spans = receiver.spans();
    for (outcome, level) in
        [("ok", "DEBUG"), ("rejected", "INFO"), ("cancelled", "WARN"), ("failed", "ERROR"), ("panicked", "WARN")]
    {
        let line = &lines[outcome];
        assert_eq!((&line["level"], &line["operation"]), (&level.into(), &"payment.pay".into()));
        let span = spans.iter().find(|span| span.attribute("ironcore.outcome") == Some(outcome)).unwrap();
        assert_eq!(line["span_id"], span.span_id);
    }
}

#[test]
fn lines_name_their_operation_and_its_ids_without_an_exporter_too() {
    let child = in_child!(every_ending);
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("RUST_LOG", "debug").env("OTEL_TRACES_EXPORTER", "none").run();
    let log = report.log();
    let line = log.iter().find(|line| line["outcome"] == "ok").unwrap();
    assert_eq!(line["operation"], "payment.pay");
    assert!(line["trace_id"].is_string() && line["span_id"].is_string(), "{line}");
    assert!(receiver.spans().is_empty());
}

#[telemetry::instrument_business]
async fn hold_wallet() {
    struct LogsWhenDropped;
    impl Drop for LogsWhenDropped {
        fn drop(&mut self) {
            tracing::info!("dropped");
        }
    }
    let _held = LogsWhenDropped;
    std::future::pending::<()>().await;
}

#[test]
fn lines_logged_while_a_cancelled_operation_is_dropped_carry_its_ids() {
    let child = in_child!(|| {
        let guard = start();
        multi_thread().block_on(async {
            let cancelled = tokio::time::timeout(Duration::from_millis(10), hold_wallet());
            assert!(cancelled.await.is_err());
        });
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.attribute("ironcore.outcome"), Some("cancelled"));
    let line = report.log().into_iter().find(|line| line["message"] == "dropped").unwrap();
    assert_eq!(line["span_id"], span.span_id);
}

#[test]
fn a_site_that_was_called_before_init_records_after_it() {
    let child = in_child!(|| {
        create_wallet();
        let guard = telemetry::init().unwrap();
        create_wallet();
        let page = telemetry::scrape::render();
        json!({ "page": page, "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    // One call before, one after.
    assert_sample(report.page(), r#"business_operations_total{domain="wallet",operation="create",outcome="ok"}"#, 1);
    assert_eq!(receiver.spans().len(), 1);
}
