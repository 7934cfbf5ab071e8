//! The log lines: golden text, ids, and values that try to break them.

use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::fmt;
use support::{Receiver, assert_golden, in_child, shutdown, shutdown_at_once, start, wait_for};

/// The line without what differs from run to run. Text is replaced, so that the order of the keys is compared too.
fn steady(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let mut line = line.to_owned();
    for (key, shown) in [("timestamp", "T"), ("trace_id", "I"), ("span_id", "S")] {
        if let Some(text) = value[key].as_str() {
            line = line.replace(text, shown);
        }
    }
    line
}

#[telemetry::instrument_business]
fn inside_wallet() {
    struct LogsWhenShown;
    impl fmt::Debug for LogsWhenShown {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!("logged while another line was written");
            formatter.write_str("chatty")
        }
    }
    tracing::info!(value = ?LogsWhenShown, "in an operation");
}

/// Lines with values of every kind, among them some that try to forge keys and lines.
fn lines_of_every_kind() -> Value {
    let guard = start();
    tracing::info!(count = 7_u64, ratio = 0.5, ok = true, who = "alice", "plain");
    tracing::warn!(trace_id = "forged", level = "forged", service = "forged", "reserved keys");
    tracing::error!("two\nlines \u{1b}[31m and \u{202e}more");
    tracing::info!(nan = f64::NAN, big = u128::MAX, debug = ?["a"], "types");
    log::info!("by the log crate");
    tracing::debug!("below the filter");
    inside_wallet();
    shutdown_at_once(&guard);
    Value::Null
}

#[test]
fn the_lines_read_like_the_golden_ones() {
    let report = in_child!(lines_of_every_kind).run();
    let own = |line: &&String| !line.contains(r#""target":"ironcore_telemetry""#);
    let lines = report.lines.iter().filter(own).fold(String::new(), |lines, line| lines + &steady(line) + "\n");
    assert_golden("log_lines.txt", &lines);
}

#[test]
fn every_event_is_one_line_of_json_with_the_standard_keys() {
    let report = in_child!(lines_of_every_kind).run();
    for line in report.log() {
        for key in ["timestamp", "level", "target", "message", "service"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
}

#[test]
fn the_first_line_lists_the_settings_in_force_and_their_sources() {
    let child = in_child!(|| {
        shutdown_at_once(&telemetry::init().unwrap());
        Value::Null
    });
    let first = child.run().log().remove(0);
    assert_eq!(
        (first["target"].as_str(), first["message"].as_str()),
        (Some("ironcore_telemetry"), Some("telemetry started"))
    );
    let settings = first["settings"].as_str().unwrap();
    for part in ["endpoint=http://127.0.0.1:9(OTEL_EXPORTER_OTLP_ENDPOINT)", "sampler=parentbased_always_on(default)"] {
        assert!(settings.contains(part), "{settings}");
    }
}

#[telemetry::instrument_business]
fn troubled_wallet() {
    tracing::info!("not an event of the span");
    tracing::warn!(attempt = 2, "a warning");
    tracing::error!("an error");
}

#[test]
fn warnings_and_errors_are_events_of_the_span_they_happened_in() {
    let child = in_child!(|| {
        let guard = start();
        troubled_wallet();
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).run();
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.events, ["a warning", "an error"]);
}

#[test]
fn a_reader_of_stdout_that_goes_away_costs_only_lines_and_they_are_counted() {
    let child = in_child!(|| {
        let guard = start();
        wait_for("a line that is counted as lost", || {
            tracing::info!("not read");
            let page = telemetry::scrape::render();
            let lost = r#"telemetry_dropped_total{signal="logs",reason="io_error"} "#;
            page.lines().any(|line| line.starts_with(lost) && !line.ends_with(" 0")).then_some(())
        });
        shutdown_at_once(&guard);
        Value::Null
    });
    let _ = child.run_without_reader();
}
