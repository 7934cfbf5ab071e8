//! Runs each example that ends by itself, as a reader would, and looks for what it promises to show.

use std::process::{Command, Output};

/// Without the settings of the developer's environment, and without spans to deliver: no collector runs here.
fn run(program: &str) -> Output {
    let is_setting = |name: &str| name == "RUST_LOG" || name.starts_with("OTEL_") || name.starts_with("IRONCORE_");
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.env("OTEL_TRACES_SAMPLER", "always_off").output().unwrap()
}

#[track_caller]
fn stdout_of(program: &str) -> String {
    let output = run(program);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn custom_config_shows_the_settings_in_force_and_an_error_that_lists_the_allowed_values() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_custom_config"));
    for text in [
        "service.name=wallets(code)",
        "log_filter=info,opentelemetry=warn,business=debug(code)",
        "use a number from 0.0 to 1.0",
    ] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}

#[test]
fn outbox_job_shows_both_attempts() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_outbox_job"));
    assert_eq!(shown.lines().filter(|line| line.contains("\"publishing\"")).count(), 2, "{shown}");
}

#[test]
fn calls_of_other_services_show_the_same_trace_on_both_sides() {
    for program in [env!("CARGO_BIN_EXE_call_out"), env!("CARGO_BIN_EXE_call_with_reqwest")] {
        let shown = stdout_of(program);
        let id = |side: &str| shown.lines().find_map(|line| line.strip_prefix(side)).map(str::trim);
        assert!(id("here").is_some_and(|id| id.len() == 32), "{shown}");
        assert_eq!(id("here"), id("there"), "{shown}");
    }
}

#[test]
fn count_bad_requests_counts_what_an_extractor_refuses_only_inside_of_the_operation() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_count_bad_requests"));
    let counted = |operation: &str| {
        let series = format!("business_operations_total{{domain=\"transaction\",operation=\"{operation}\",");
        let mut lines: Vec<_> = shown.lines().filter_map(|line| line.strip_prefix(&series)).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(counted("seen"), ["outcome=\"ok\"} 1"], "{shown}");
    assert_eq!(counted("sent"), ["outcome=\"ok\"} 1", "outcome=\"rejected\",code=\"bad_request\"} 2"], "{shown}");
    for path in ["/seen", "/sent"] {
        let statuses = ["202 Accepted", "422 Unprocessable Entity", "400 Bad Request"];
        assert!(statuses.iter().all(|status| shown.contains(&format!("{path} {status} for"))), "{shown}");
    }
}

#[test]
fn keep_secrets_shows_the_mask_and_no_word_of_the_phrase() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_keep_secrets"));
    assert!(shown.contains("[REDACTED]") && !shown.contains("sausage"), "{shown}");
}

#[test]
fn own_instruments_shows_its_instruments_on_the_metrics_page() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_own_instruments"));
    assert!(shown.lines().any(|line| line.starts_with("wallets_active") && line.ends_with(" 7")), "{shown}");
    assert!(shown.contains("le=\"64\""), "{shown}");
}

#[test]
fn labels_shows_one_series_for_each_asset_and_code() {
    let shown = stdout_of(env!("CARGO_BIN_EXE_labels"));
    for labels in ["asset=\"eth\"", "asset=\"wbtc\"", "code=\"amount_too_small\"", "code=\"no_price\""] {
        assert!(shown.lines().any(|line| line.contains(labels) && line.ends_with(" 1")), "{labels} in {shown}");
    }
}
