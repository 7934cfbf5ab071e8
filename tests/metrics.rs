//! The `/metrics` page: golden text, bridged instruments, and their export over OTLP.

use axum::http::Request;
use http_body_util::BodyExt;
use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use stack::otlp::Point;
use std::collections::HashSet;
use support::{
    PATIENCE, Receiver, assert_golden, assert_sample, in_child, record_instruments, shutdown, shutdown_at_once, start,
};
use tower::ServiceExt as _;

#[telemetry::instrument_business]
fn create_wallet(balance: i64) -> Result<i64, String> {
    if balance < 0 { Err("overdrawn".to_owned()) } else { Ok(balance) }
}

/// The page without what differs from run to run: durations keep their names, values of buckets and sums do not.
fn steady(page: &str) -> String {
    let steady = |line: &str| match line.split_once(' ') {
        _ if line.starts_with('#') => line.to_owned(),
        Some((series, _)) if series.starts_with("target_info") => "target_info{…} 1".to_owned(),
        Some((series, _)) if ["_bucket{", "_sum{", "_queued_bytes{"].iter().any(|part| series.contains(part)) => {
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

/// Three operations and three measurements, each pushed on its own; then what is left.
fn three_pushes() -> Value {
    let guard = start();
    let meter = opentelemetry::global::meter_provider().meter("users");
    let (orders, sizes) = (meter.u64_counter("orders").build(), meter.f64_histogram("sizes").build());
    for amount in 1..=3 {
        create_wallet(7).unwrap();
        orders.add(amount, &[]);
        sizes.record(2.0, &[]);
        let _ = guard.flush(PATIENCE);
    }
    let page = telemetry::scrape::render();
    json!({ "page": page, "lost": shutdown(&guard) })
}

/// The points of the series with this attribute of a metric.
fn points(receiver: &Receiver, name: &str, attribute: (&str, Option<&str>)) -> Vec<Point> {
    let metrics = receiver.metrics().into_iter().filter(|metric| metric.name == name);
    let points = metrics.flat_map(|metric| metric.points);
    points.filter(|point| point.attribute(attribute.0) == attribute.1).collect()
}

#[test]
fn pushed_counts_are_cumulative_or_deltas_that_follow_each_other() {
    let child = in_child!(three_pushes);
    for preference in ["cumulative", "delta", "lowmemory"] {
        let receiver = Receiver::start().unwrap();
        let report = child
            .clone()
            .exporting_to(&receiver)
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
            .run();
        assert_eq!(report.lost(), None);
        let is_delta = preference != "cumulative";
        for (name, attribute, values) in
            [("orders", ("outcome", None), [1.0, 2.0, 3.0]), ("business_operations", ("outcome", Some("ok")), [1.0; 3])]
        {
            let points = points(&receiver, name, attribute);
            let seen: Vec<_> = points.iter().map(|point| point.value).collect();
            let mut sum = 0.0;
            let sums = values.map(|value| {
                sum += value;
                sum
            });
            // The one of the shutdown has nothing new.
            let expected = if is_delta { values.to_vec() } else { [&sums[..], &[sum]].concat() };
            assert_eq!(seen, expected, "{preference} {name}");
            let starts = points.windows(2).map(|pair| (pair[0].start_ns, pair[0].time_ns, pair[1].start_ns));
            for (start, time, next) in starts {
                assert!(if is_delta { next >= time } else { next == start }, "{preference} {name}: {points:?}");
            }
            let metric = receiver.metrics().into_iter().find(|metric| metric.name == name).unwrap();
            assert_eq!(metric.temporality, Some(if is_delta { "delta" } else { "cumulative" }), "{preference} {name}");
        }
        let traces: HashSet<_> = receiver.spans().into_iter().map(|span| span.trace_id).collect();
        for name in ["business_operations", "business_operation_duration"] {
            let points = points(&receiver, name, ("outcome", Some("ok")));
            let exemplars: Vec<_> = points.iter().flat_map(|point| &point.exemplars).collect();
            assert!(!exemplars.is_empty(), "{preference} {name}");
            assert!(exemplars.iter().all(|trace| traces.contains(*trace)), "{preference} {name}");
        }
    }
}

#[test]
fn pushed_histograms_are_exponential_on_request_and_keep_their_bounds_on_the_page() {
    let receiver = Receiver::start().unwrap();
    let report = in_child!(three_pushes)
        .exporting_to(&receiver)
        .env("OTEL_METRICS_EXPORTER", "otlp,prometheus")
        .env("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram")
        .run();
    assert_eq!(report.lost(), None);
    for (name, attribute) in [("sizes", ("outcome", None)), ("business_operation_duration", ("outcome", Some("ok")))] {
        let metrics: Vec<_> = receiver.metrics().into_iter().filter(|metric| metric.name == name).collect();
        assert!(metrics.iter().all(|metric| metric.kind == "exponential_histogram"), "{metrics:?}");
        assert_eq!(points(&receiver, name, attribute).last().unwrap().count, Some(3), "{name}");
    }
    assert_sample(report.page(), r#"sizes_bucket{otel_scope_name="users",le="5"}"#, 3);
    assert!(receiver.metrics().iter().all(|metric| metric.name.is_ascii() && !metric.name.contains('\0')));
}

#[test]
fn exemplars_can_be_turned_off() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet(7).unwrap();
        let request = Request::get("/metrics").header("accept", "application/openmetrics-text");
        let page = support::current_thread().block_on(async {
            let response = telemetry::scrape::router().oneshot(request.body(axum::body::Body::empty()).unwrap()).await;
            response.unwrap().into_body().collect().await.unwrap().to_bytes()
        });
        json!({ "page": String::from_utf8_lossy(&page), "lost": shutdown(&guard) })
    });
    for (filter, has_exemplars) in [("trace_based", true), ("always_off", false)] {
        let receiver = Receiver::start().unwrap();
        let report = child
            .clone()
            .exporting_to(&receiver)
            .env("OTEL_METRICS_EXPORTER", "otlp,prometheus")
            .env("OTEL_METRICS_EXEMPLAR_FILTER", filter)
            .run();
        assert_eq!(report.page().contains(" # {trace_id="), has_exemplars, "{}", report.page());
        let points = receiver.metrics().into_iter().flat_map(|metric| metric.points);
        assert_eq!(points.map(|point| point.exemplars.len()).sum::<usize>() > 0, has_exemplars, "{filter}");
    }
}
