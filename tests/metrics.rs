//! The `/metrics` page: golden text, bridged instruments, and their export over OTLP.

use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::collections::HashSet;
use support::{
    Receiver, assert_golden, assert_sample, in_child, record_instruments, shutdown, shutdown_at_once, start,
};

#[telemetry::instrument_business]
fn create_wallet(balance: i64) -> Result<i64, String> {
    if balance < 0 { Err("overdrawn".to_owned()) } else { Ok(balance) }
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
    page.lines().map(steady).fold(String::new(), |page, line| page + &line + "\n")
}

#[test]
fn the_page_reads_like_the_golden_one() {
    let child = in_child!(|| {
        let guard = telemetry::init().unwrap();
        create_wallet(7).unwrap();
        let page = telemetry::scrape::render();
        shutdown_at_once(&guard);
        json!({ "page": page })
    });
    assert_golden("scrape.txt", &steady(child.run().page()));
}

/// Instruments of a user; the page with them.
fn instruments() -> Value {
    let guard = start();
    record_instruments();
    let page = telemetry::scrape::render();
    shutdown_at_once(&guard);
    json!({ "page": page })
}

#[test]
fn instruments_of_users_stand_on_the_page_without_doubled_suffixes() {
    let report = in_child!(instruments).run();
    let page = report.page();
    let scope = r#"otel_scope_name="users""#;
    assert_sample(page, &format!(r#"orders_total{{channel="web",{scope}}}"#), 2);
    assert_sample(page, &format!("orders_placed_total{{{scope}}}"), 3);
    assert_sample(page, &format!("sent_bytes_total{{{scope}}}"), 1);
    assert!(!page.contains("_total_total") && !page.contains("_seconds_seconds"), "{page}");
}

#[test]
fn bridged_durations_have_bounds_in_seconds() {
    let report = in_child!(instruments).run();
    let scope = r#"otel_scope_name="users""#;
    for (bound, below) in [("0.05", 0), ("0.08", 1), ("10", 1)] {
        let series = format!(r#"checkout_duration_seconds_bucket{{{scope},le="{bound}"}}"#);
        assert_sample(report.page(), &series, below);
    }
}

#[test]
fn names_and_labels_of_users_neither_break_the_page_nor_shadow_our_series() {
    let report = in_child!(instruments).run();
    let page = report.page();
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

#[test]
fn our_metrics_and_those_of_users_go_out_over_otlp_on_request() {
    let child = in_child!(|| {
        let guard = start();
        record_instruments();
        json!({ "lost": shutdown(&guard) })
    });
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start().unwrap();
        let report = child
            .clone()
            .exporting_to(&receiver)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .run();
        assert_eq!(report.lost(), None, "{protocol}");
        let names: Vec<_> = receiver.metrics().into_iter().map(|metric| metric.name).collect();
        for name in [
            "orders_total",
            "checkout.duration",
            "business_operations",
            "business_operation_duration",
            "telemetry_queued",
        ] {
            assert!(names.iter().any(|known| known == name), "{protocol}: no {name} in {names:?}");
        }
    }
}
