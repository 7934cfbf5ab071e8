//! The attribute changes nothing but what it adds: code of users that only telemetry runs never reaches the business,
//! functions compile as they do without it, and what is counted is what the caller gets.

// The lints of a strict user's crate.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]
#![allow(
    clippy::elidable_lifetime_names,
    clippy::needless_pass_by_value,
    clippy::unused_self,
    reason = "functions of any form are instrumented here; tests/ui/lints compares lints"
)]
#![forbid(unsafe_code)]

use ironcore_telemetry as telemetry;
use telemetry::testing::Capture;

#[path = "attribute/bodies.rs"]
#[allow(clippy::needless_lifetimes, clippy::type_complexity, reason = "functions as users write them")]
mod bodies;
#[path = "attribute/borrowed.rs"]
#[allow(
    clippy::needless_lifetimes,
    clippy::unused_async,
    clippy::type_complexity,
    reason = "functions as users write them"
)]
mod borrowed;
#[path = "attribute/codes.rs"]
mod codes;
#[path = "attribute/errors.rs"]
mod errors;
#[path = "attribute/lints.rs"]
mod lints;
#[path = "attribute/panics.rs"]
mod panics;
#[path = "attribute/responses.rs"]
#[allow(clippy::result_large_err, reason = "handlers as axum has them")]
mod responses;

/// The number of operations of the domain `wallet` that ended so.
fn count(capture: &Capture, operation: &str, outcome: &str, code: &str) -> i64 {
    let labels = [("domain", "wallet"), ("operation", operation), ("outcome", outcome), ("code", code)];
    let labels = if code.is_empty() { &labels[..3] } else { &labels[..] };
    capture.value("business_operations_total", labels)
}

/// Asserts that each operation that began has ended, once, so.
#[track_caller]
fn assert_ended(capture: &Capture, operation: &str, outcome: &str, code: &str, times: i64) {
    assert_eq!(count(capture, operation, outcome, code), times, "{operation} {outcome} {code}");
    assert_eq!(capture.value("business_operations_total", &[("operation", operation)]), times, "{operation}: others");
    assert_eq!(capture.value("business_operations_in_flight", &[("operation", operation)]), 0, "{operation} in flight");
}

/// The lines of the target `business`, as (level, operation, the line).
fn lines(capture: &Capture) -> Vec<(String, String, String)> {
    let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let parsed = capture.log_lines().into_iter().map(|line| (serde_json::from_str(&line).unwrap(), line));
    let ours = parsed.filter(|(value, _)| text(value, "target") == "business");
    ours.map(|(value, line)| (text(&value, "level"), text(&value, "operation"), line)).collect()
}
