//! The log lines: golden text, ids, and what no value can do to them.

use serde_json::Value;
use support::{Probe, Receiver, Report, assert_golden};

fn run(scenario: &str) -> Report {
    Probe::new(env!("CARGO_BIN_EXE_probe"), scenario).env("PROBE_SHUTDOWN_MS", "1").run()
}

/// The line without what differs from run to run. Text is replaced, so that the order of the keys is seen too.
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

#[test]
fn the_lines_read_like_the_golden_ones() {
    let report = run("log_lines");
    let own = |line: &&String| !line.contains(r#""target":"ironcore_telemetry""#);
    let lines = report.lines.iter().filter(own).fold(String::new(), |lines, line| lines + &steady(line) + "\n");
    assert_golden("log_lines.txt", &lines);
}

#[test]
fn every_event_is_one_line_of_json_with_the_standard_keys() {
    for line in run("log_lines").log() {
        for key in ["timestamp", "level", "target", "message", "service"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
}

#[test]
fn the_first_line_tells_what_is_in_force_and_where_it_came_from() {
    let report = run("init");
    let first = report.log().remove(0);
    assert_eq!(
        (first["target"].as_str(), first["message"].as_str()),
        (Some("ironcore_telemetry"), Some("telemetry started"))
    );
    let settings = first["settings"].as_str().unwrap();
    for part in ["endpoint=http://127.0.0.1:9(OTEL_EXPORTER_OTLP_ENDPOINT)", "sampler=parentbased_always_on(default)"] {
        assert!(settings.contains(part), "{settings}");
    }
}

#[test]
fn warnings_and_errors_are_events_of_the_span_they_happened_in() {
    let receiver = Receiver::start().unwrap();
    let report = Probe::new(env!("CARGO_BIN_EXE_probe"), "span_events").exporting_to(&receiver).run();
    assert!(report.succeeded, "{report:?}");
    let span = receiver.spans().pop().unwrap();
    assert_eq!(span.events, ["a warning", "an error"]);
}

#[test]
fn a_reader_of_stdout_that_goes_away_costs_lines_which_are_counted_and_nothing_else() {
    let report =
        Probe::new(env!("CARGO_BIN_EXE_probe"), "closed_stdout").env("PROBE_SHUTDOWN_MS", "1").run_without_reader();
    assert!(report.succeeded, "{report:?}");
    assert!(report.result["counted"].is_string(), "{report:?}");
}
