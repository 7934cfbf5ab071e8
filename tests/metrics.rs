//! The `/metrics` page: golden text, bridged instruments, and the listener.

use std::collections::HashSet;
use support::{Probe, assert_golden, sample};

fn page_of(scenario: &str) -> String {
    Probe::new(env!("CARGO_BIN_EXE_probe"), scenario).env("PROBE_SHUTDOWN_MS", "1").run().page().to_owned()
}

/// The page without what differs from run to run: durations keep their names, values of buckets and sums do not.
fn steady(page: &str) -> String {
    let steady = |line: &str| match line.split_once(' ') {
        _ if line.starts_with('#') => line.to_owned(),
        Some((series, _)) if series.starts_with("target_info") => "target_info{…} 1".to_owned(),
        Some((series, _)) if series.contains("_bucket{") || series.contains("_sum{") => {
            format!("{series} …")
        }
        _ => line.to_owned(),
    };
    // One operation of the probe stands for all.
    let shown = |line: &&str| !line.contains("domain=") || line.contains(r#"domain="payment""#);
    let lines = page.lines().filter(shown).map(steady);
    lines.fold(String::new(), |page, line| page + &line + "\n")
}

#[test]
fn the_page_reads_like_the_golden_one() {
    let page = steady(&page_of("init"));
    assert_golden("scrape.txt", &page);
}

#[test]
fn instruments_of_users_stand_on_the_page_without_doubled_suffixes() {
    let page = page_of("instruments");
    let scope = r#"otel_scope_name="users""#;
    let near = |series: String, value: f64| {
        assert!((sample(&page, &series) - value).abs() < 1e-9, "{series}");
    };
    near(format!(r#"orders_total{{channel="web",{scope}}}"#), 2.0);
    near(format!("orders_placed_total{{{scope}}}"), 3.0);
    near(format!("sent_bytes_total{{{scope}}}"), 1.0);
    assert!(!page.contains("_total_total") && !page.contains("_seconds_seconds"), "{page}");
}

#[test]
fn bridged_durations_have_bounds_in_seconds() {
    let page = page_of("instruments");
    let scope = r#"otel_scope_name="users""#;
    for (bound, below) in [("0.05", 0.0), ("0.08", 1.0), ("10", 1.0)] {
        let series = format!(r#"checkout_duration_seconds_bucket{{{scope},le="{bound}"}}"#);
        assert!((sample(&page, &series) - below).abs() < 1e-9, "{series}");
    }
}

#[test]
fn no_label_and_no_name_of_a_users_can_break_the_page_or_shadow_our_own() {
    let page = page_of("instruments");
    for label in [r#"_1digit="a""#, r#"_="b""#, r#"_le="x""#] {
        assert!(page.contains(label), "{label}\n{page}");
    }
    assert!(!page.contains("http_requests_total{otel_scope_name"), "{page}");
    assert!(!page.contains("http_request_duration_seconds_count"), "{page}");
    let families: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(families.len(), families.iter().collect::<HashSet<_>>().len(), "{families:?}");
    let samples: Vec<_> = page.lines().filter(|line| !line.starts_with('#')).collect();
    let series: HashSet<_> = samples.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(samples.len(), series.len());
}
