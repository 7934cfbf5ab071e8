//! Parentage, sampling and endings of operations, as the collector sees them.

use std::collections::HashMap;
use support::{Probe, ReceivedSpan, Receiver, sample};

fn probe(scenario: &str, receiver: &Receiver) -> Probe {
    Probe::new(env!("CARGO_BIN_EXE_probe"), scenario).exporting_to(receiver)
}

#[test]
fn tracing_spans_and_operations_nest_in_any_order_and_neighbours_stay_apart() {
    let receiver = Receiver::start().unwrap();
    let report = probe("nesting", &receiver).run();
    assert!(report.result["shutdown"].get("Ok").is_some(), "{report:?}");
    let spans = receiver.spans();
    assert_eq!(spans.len(), 5);
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let ancestors = |span: &ReceivedSpan| {
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
    let of_log: Vec<_> = report.log().into_iter().filter(|line| line["message"] == "inside").collect();
    assert_eq!(of_log.len(), 2);
    for line in of_log {
        let span = by_id[line["span_id"].as_str().unwrap()];
        assert_eq!(
            (span.name.as_str(), line["trace_id"].as_str().unwrap()),
            ("transaction.send", span.trace_id.as_str())
        );
    }
}

#[test]
fn an_operation_under_an_unsampled_caller_makes_no_span_but_counts_and_keeps_the_ids() {
    let receiver = Receiver::start().unwrap();
    let report = probe("unsampled", &receiver).run();
    assert!(receiver.spans().is_empty());
    let counted =
        sample(report.page(), r#"business_operations_total{domain="transaction",operation="send",outcome="ok"}"#);
    assert!((counted - 1.0).abs() < f64::EPSILON);
    let line = report.log().into_iter().find(|line| line["message"] == "inside").unwrap();
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span_id"], "b7ad6b7169203331");
    assert_eq!(line["sampled"], false);
}

#[test]
fn every_ending_has_its_outcome_in_the_counter_and_on_the_span() {
    let receiver = Receiver::start().unwrap();
    let report = probe("endings", &receiver).run();
    assert_eq!(report.result["panicked_and_cancelled"], true, "{report:?}");
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
        let counted = sample(report.page(), &format!("business_operations_total{labels}{code}}}"));
        assert!((counted - 1.0).abs() < f64::EPSILON, "{outcome}: {counted}");
        let timed = sample(report.page(), &format!("business_operation_duration_seconds_count{labels}}}"));
        assert!((timed - 1.0).abs() < f64::EPSILON, "{outcome}: {timed}");
        let span = &spans[outcome];
        assert_eq!((span.name.as_str(), span.status, span.attribute("error.type")), ("payment.pay", status, error));
        assert_eq!(span.attribute("code.function.name"), Some("probe::pay"));
    }
}

#[test]
fn counters_stand_at_zero_before_the_first_call() {
    let receiver = Receiver::start().unwrap();
    let report = probe("endings", &receiver).run();
    let page = report.result["at_zero"].as_str().unwrap();
    for labels in
        ["outcome=\"ok\"", "outcome=\"failed\",code=\"error\"", "outcome=\"cancelled\"", "outcome=\"panicked\""]
    {
        let series = format!("business_operations_total{{domain=\"payment\",operation=\"pay\",{labels}}}");
        assert!(sample(page, &series).abs() < f64::EPSILON);
    }
}

#[test]
fn a_sampler_that_ignores_the_caller_is_asked_for_operations_too() {
    let receiver = Receiver::start().unwrap();
    let report = probe("unsampled", &receiver).env("OTEL_TRACES_SAMPLER", "always_on").run();
    assert!(report.succeeded, "{report:?}");
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.as_deref(), Some("b7ad6b7169203331"));
}

#[test]
fn what_a_cancelled_operation_says_as_it_is_dropped_carries_its_ids() {
    let receiver = Receiver::start().unwrap();
    let report = probe("dropped_in_span", &receiver).run();
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.attribute("ironcore.outcome"), Some("cancelled"));
    let line = report.log().into_iter().find(|line| line["message"] == "last words").unwrap();
    assert_eq!(line["span_id"], span.span_id);
}

#[test]
fn a_site_that_was_called_before_init_records_after_it() {
    let receiver = Receiver::start().unwrap();
    let report = probe("init", &receiver).run();
    let series = r#"business_operations_total{domain="wallet",operation="create",outcome="ok"}"#;
    assert!((sample(report.page(), series) - 1.0).abs() < f64::EPSILON, "one call before, one after");
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn the_closing_line_has_the_level_of_the_outcome_and_the_ids_of_the_span() {
    let receiver = Receiver::start().unwrap();
    let report = probe("endings", &receiver).env("RUST_LOG", "debug").run();
    let lines: HashMap<_, _> = report
        .log()
        .into_iter()
        .filter(|line| line["target"] == "business")
        .map(|line| (line["outcome"].as_str().unwrap().to_owned(), line))
        .collect();
    let spans = receiver.spans();
    for (outcome, level) in
        [("ok", "DEBUG"), ("rejected", "INFO"), ("cancelled", "WARN"), ("failed", "ERROR"), ("panicked", "ERROR")]
    {
        let line = &lines[outcome];
        assert_eq!((&line["level"], &line["operation"]), (&level.into(), &"payment.pay".into()));
        let span = spans.iter().find(|span| span.attribute("ironcore.outcome") == Some(outcome)).unwrap();
        assert_eq!(line["span_id"], span.span_id);
    }
}

#[test]
fn lines_name_their_operation_without_any_span_too() {
    let receiver = Receiver::start().unwrap();
    let report = probe("endings", &receiver).env("RUST_LOG", "debug").env("OTEL_TRACES_EXPORTER", "none").run();
    let log = report.log();
    let line = log.iter().find(|line| line["outcome"] == "ok").unwrap();
    assert_eq!(line["operation"], "payment.pay");
    assert!(line.get("span_id").is_none(), "{line}");
}
