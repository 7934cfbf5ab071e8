//! Users' own OpenTelemetry instruments: their bounds and names stay, and none of them can take the page down.

use arbitrary::{VARIABLE, from_parent, instruments, record_all};
use http_body_util::BodyExt;
use ironcore_telemetry as telemetry;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use support::{
    Exposition, Family, Report, assert_sample, in_child, sample, shutdown, shutdown_at_once, start, wait_for,
};
use tower::ServiceExt;

#[path = "support/arbitrary.rs"]
mod arbitrary;

#[telemetry::instrument_business]
fn create_wallet(balance: i64) -> Result<i64, String> {
    if balance < 0 { Err("overdrawn".to_owned()) } else { Ok(balance) }
}

/// The pages of a process in which this has been recorded. It has no spans, so that its shutdown waits only for the
/// lines.
fn pages_after(record: impl FnOnce(&Meter)) -> Value {
    let config = telemetry::Config::new("tests").version("1.0.0").sampling(telemetry::Sampling::Never);
    let guard = telemetry::init_with(config).unwrap();
    create_wallet(7).unwrap();
    record(&opentelemetry::global::meter("users"));
    // A busy machine may be late with a callback.
    let in_time = |page: String| page.contains("telemetry_degraded{component=\"metric_callbacks\"} 0").then_some(page);
    let report = json!({
        "page": wait_for("the page", || in_time(telemetry::scrape::render())),
        "open_metrics": wait_for("the page", || in_time(telemetry::scrape::render_open_metrics())),
    });
    let _ = shutdown(&guard);
    report
}

/// A series of the scope `users` without further labels.
fn of_users(name: &str) -> String {
    format!("{name}{{otel_scope_name=\"users\"}}")
}

fn bounds(page: &str, name: &str) -> Vec<String> {
    let start = format!("{name}_bucket{{");
    let lines = page.lines().filter(|line| line.starts_with(&start));
    lines.map(|line| line.split_once("le=\"").unwrap().1.split_once('"').unwrap().0.to_owned()).collect()
}

/// The families of both formats.
#[track_caller]
fn parsed(report: &Report) -> [Vec<Family>; 2] {
    let open_metrics = report.result["open_metrics"].as_str().unwrap();
    [(Exposition::Text, report.page()), (Exposition::OpenMetrics, open_metrics)]
        .map(|(format, page)| format.parse(page).unwrap_or_else(|error| panic!("{error}\n{page}")))
}

/// The lines that say which instruments are left out: the reason, the instrument, and the one that has its name.
fn left_out(report: &Report) -> Vec<[String; 3]> {
    let lines = report.log().into_iter().filter(|line| line["kept"].is_string());
    lines.map(|line| ["reason", "dropped", "kept"].map(|key| line[key].as_str().unwrap().to_owned())).collect()
}

#[test]
fn bounds_that_an_instrument_asks_for_are_kept_and_ours_are_for_seconds_without_any() {
    let report = in_child!(|| pages_after(|meter| {
        let minutes = meter.f64_histogram("settlement").with_unit("s").with_boundaries(vec![60.0, 600.0, 3600.0]);
        minutes.build().record(700.0, &[]);
        meter.u64_histogram("asked.whole").with_unit("s").with_boundaries(vec![1.0, 2.5]).build().record(2, &[]);
        meter.f64_histogram("unbounded").with_unit("s").with_boundaries(Vec::new()).build().record(2.0, &[]);
        meter.f64_histogram("asks.none").with_unit("s").build().record(0.07, &[]);
        meter.u64_histogram("asks.none.whole").with_unit("s").build().record(3, &[]);
        meter.f64_histogram("millis").with_unit("ms").build().record(7.0, &[]);
    }))
    .run();
    let page = report.page();
    assert_eq!(bounds(page, "settlement_seconds"), ["60", "600", "3600", "+Inf"]);
    for (bound, below) in [("60", 0), ("600", 0), ("3600", 1)] {
        let series = format!("settlement_seconds_bucket{{otel_scope_name=\"users\",le=\"{bound}\"}}");
        assert_sample(page, &series, below);
    }
    assert_eq!(bounds(page, "asked_whole_seconds"), ["1", "2.5", "+Inf"]);
    assert_eq!(bounds(page, "unbounded_seconds"), ["+Inf"]);
    assert_sample(page, &of_users("unbounded_seconds_count"), 1);
    let ours = bounds(page, "business_operation_duration_seconds");
    let ours: Vec<_> = ours.iter().take(19).cloned().collect();
    assert_eq!(bounds(page, "asks_none_seconds"), ours);
    assert_eq!(bounds(page, "asks_none_whole_seconds"), ours);
    assert_eq!(bounds(page, "millis_milliseconds")[..3], ["0", "5", "10"]);
    parsed(&report);
}

#[test]
fn bounds_are_kept_when_metrics_are_pushed_too() {
    let receiver = support::Receiver::start().unwrap();
    let child = in_child!(|| {
        let guard = start();
        let meter = opentelemetry::global::meter("users");
        let minutes = meter.f64_histogram("settlement").with_unit("s");
        minutes.with_boundaries(vec![60.0, 600.0, 3600.0]).build().record(700.0, &[]);
        json!({ "page": telemetry::scrape::render(), "lost": shutdown(&guard) })
    });
    let report = child.exporting_to(&receiver).env("OTEL_METRICS_EXPORTER", "otlp,prometheus").run();
    assert_eq!(bounds(report.page(), "settlement_seconds"), ["60", "600", "3600", "+Inf"]);
    assert!(receiver.metrics().iter().any(|metric| metric.name == "settlement"), "{:?}", receiver.metrics());
}

#[test]
fn names_have_their_unit_and_their_suffix_once() {
    let report = in_child!(|| pages_after(|meter| {
        for (name, unit) in [
            ("cache_hit_ratio", "1"),
            ("cpu.utilization", "1"),
            ("uptime_days", "d"),
            ("throughput_bytes_per_second", "By/s"),
            ("rate", "{request}/s"),
            ("temp_celsius", "Cel"),
        ] {
            meter.f64_gauge(name).with_unit(unit).build().record(1.0, &[]);
        }
        for (name, unit) in [("jobs", "1"), ("orders_total", "{order}"), ("sent_bytes_total", "By"), ("paid", "EUR")] {
            meter.u64_counter(name).with_unit(unit).build().add(1, &[]);
        }
        meter.i64_up_down_counter("open").with_unit("1").build().add(1, &[]);
    }))
    .run();
    for name in [
        "cache_hit_ratio",
        "cpu_utilization_ratio",
        "uptime_days",
        "throughput_bytes_per_second",
        "rate_per_second",
        "temp_celsius",
        "jobs_total",
        "orders_total",
        "sent_bytes_total",
        "paid_EUR_total",
        "open",
    ] {
        assert_sample(report.page(), &of_users(name), 1);
    }
    let [_, open_metrics] = parsed(&report);
    let unit = |name: &str| open_metrics.iter().find(|family| family.name == name).unwrap().unit.clone();
    assert_eq!(unit("sent_bytes").as_deref(), Some("bytes"));
    assert_eq!(unit("throughput_bytes_per_second").as_deref(), Some("bytes_per_second"));
    assert_eq!(unit("jobs"), None);
}

#[test]
fn of_two_instruments_that_become_one_family_the_first_keeps_the_name_and_the_other_is_said() {
    let report = in_child!(|| pages_after(|meter| {
        let other = opentelemetry::global::meter("library");
        for _ in 0..2 {
            meter.f64_histogram("h").build().record(1.0, &[]);
            other.u64_gauge("h").build().record(2, &[]);
            other.u64_gauge("h.count").build().record(3, &[]);
            meter.u64_counter("jobs").build().add(4, &[]);
            other.u64_counter("jobs_total").build().add(5, &[]);
            other.f64_histogram("jobs").build().record(6.0, &[]);
            meter.u64_counter("http_requests").build().add(7, &[]);
            meter.u64_gauge("up").build().record(0, &[]);
            meter.u64_gauge("level").build().record(8, &[]);
            meter.i64_up_down_counter("level").build().add(9, &[]);
        }
    }))
    .run();
    let page = report.page();
    assert_sample(page, &of_users("h_count"), 2);
    assert_sample(page, &of_users("jobs_total"), 8);
    assert_sample(page, "jobs_total{otel_scope_name=\"library\"}", 10);
    assert_sample(page, &of_users("level"), 8);
    let expected = [
        ["other_type", "h of scope \"library\"", "h of scope \"users\""],
        ["name_clash", "h.count of scope \"library\"", "h of scope \"users\""],
        ["other_type", "jobs of scope \"library\"", "jobs of scope \"users\""],
        ["reserved_name", "http_requests of scope \"users\"", "http_requests of ironcore-telemetry or Prometheus"],
        ["reserved_name", "up of scope \"users\"", "up of ironcore-telemetry or Prometheus"],
        ["duplicate_series", "level of scope \"users\"", "level of scope \"users\""],
    ];
    assert_eq!(left_out(&report), expected);
    // The page that finds a duplicate shows it on the next one.
    let counted = report.result["open_metrics"].as_str().unwrap();
    for (reason, count) in [("other_type", 2), ("name_clash", 1), ("reserved_name", 2), ("duplicate_series", 1)] {
        assert_sample(counted, &format!("telemetry_instruments_dropped_total{{reason=\"{reason}\"}}"), count);
    }
    parsed(&report);
}

#[test]
fn labels_that_become_one_are_joined_and_reserved_ones_are_renamed() {
    let report = in_child!(|| pages_after(|meter| {
        let counter = meter.u64_counter("orders").build();
        counter.add(1, &[KeyValue::new("a.b", "x"), KeyValue::new("a_b", "y")]);
        counter.add(2, &[KeyValue::new("le", "1"), KeyValue::new("job", "j"), KeyValue::new("__name__", "n")]);
        counter.add(3, &[KeyValue::new("empty", "")]);
        counter.add(4, &[]);
        counter.add(5, &[KeyValue::new("k-1", "v")]);
        counter.add(6, &[KeyValue::new("k.1", "v")]);
    }))
    .run();
    let page = report.page();
    let scope = "otel_scope_name=\"users\"";
    assert_sample(page, &format!("orders_total{{a_b=\"x;y\",{scope}}}"), 1);
    assert_sample(page, &format!("orders_total{{_le=\"1\",_name_=\"n\",exported_job=\"j\",{scope}}}"), 2);
    assert_sample(page, &of_users("orders_total"), 7);
    assert_sample(page, &format!("orders_total{{k_1=\"v\",{scope}}}"), 11);
    parsed(&report);
}

#[test]
fn a_callback_that_panics_costs_its_own_values_only() {
    let report = in_child!(|| {
        let guard = start();
        let meter = opentelemetry::global::meter("users");
        meter.u64_counter("orders").build().add(1, &[]);
        let faulty = meter.u64_observable_gauge("faulty").with_callback(|_| panic!("a bug in a callback"));
        let _faulty = faulty.build();
        let _sound = meter.u64_observable_gauge("sound").with_callback(|observer| observer.observe(5, &[])).build();
        let page = wait_for("two panics", || {
            let page = telemetry::scrape::render();
            let failures = sample(&page, "telemetry_export_failures_total{signal=\"metrics\"}");
            (failures >= 2.0 && page.contains(&of_users("sound"))).then_some(page)
        });
        let _ = shutdown(&guard);
        json!({ "page": page })
    })
    .run();
    assert_sample(report.page(), &of_users("orders_total"), 1);
    assert_sample(report.page(), &of_users("sound"), 5);
    let said = report.log().into_iter().filter(|line| line["instrument"] == "faulty").count();
    assert_eq!(said, 1);
}

#[test]
fn what_two_instruments_count_is_never_added_up() {
    let report = in_child!(|| pages_after(|meter| {
        meter.u64_counter("orders.placed").build().add(1, &[]);
        meter.u64_counter("orders.total.placed").build().add(10, &[]);
        meter.f64_histogram("lasts").with_unit("s").build().record(1.0, &[]);
        meter.f64_histogram("lasts.seconds").with_unit("s").build().record(2.0, &[]);
    }))
    .run();
    let orders = sample(report.page(), &of_users("orders_placed_total"));
    assert!([1.0, 10.0].contains(&orders), "{orders}");
    assert_sample(report.page(), &of_users("lasts_seconds_count"), 1);
    let counted = report.result["open_metrics"].as_str().unwrap();
    assert_sample(counted, "telemetry_instruments_dropped_total{reason=\"duplicate_series\"}", 2);
    parsed(&report);
}

#[test]
fn an_instrument_that_the_sdk_refuses_takes_no_name() {
    let report = in_child!(|| pages_after(|meter| {
        let _ = meter.f64_histogram("a").with_unit("é").build();
        let _ = meter.f64_histogram("b").with_boundaries(vec![2.0, 1.0]).build();
        let _ = meter.f64_histogram("c").with_boundaries(vec![1.0, f64::NAN]).build();
        let _ = meter.f64_histogram("d").with_boundaries(vec![f64::INFINITY]).build();
        for name in ["a", "b", "c", "d"] {
            meter.u64_gauge(name).build().record(1, &[]);
        }
    }))
    .run();
    for name in ["a", "b", "c", "d"] {
        assert_sample(report.page(), &of_users(name), 1);
    }
}

#[test]
fn a_callback_may_ask_for_the_page_and_make_instruments() {
    let report = in_child!(|| pages_after(|meter| {
        let length = |page: String| u64::try_from(page.len()).unwrap();
        let inside = meter.clone();
        let observed = meter.u64_observable_gauge("page.length").with_callback(move |observer| {
            inside.u64_counter("made.inside").build().add(1, &[]);
            observer.observe(length(telemetry::scrape::render()), &[]);
        });
        let _ = observed.build();
    }))
    .run();
    assert!(sample(report.page(), &of_users("made_inside_total")) >= 1.0);
    assert!(sample(report.page(), &of_users("page_length")) > 1_000.0);
}

#[test]
fn in_open_metrics_sums_say_since_when_they_are_counted() {
    let report = in_child!(|| {
        let guard = start();
        let before = std::time::SystemTime::now();
        create_wallet(7).unwrap();
        let meter = opentelemetry::global::meter("users");
        let orders = meter.u64_counter("orders").build();
        orders.add(1, &[]);
        meter.f64_histogram("lasts").build().record(1.0, &[]);
        let _ = meter.u64_observable_counter("observed").with_callback(|observer| observer.observe(1, &[])).build();
        let first = telemetry::scrape::render_open_metrics();
        let between = std::time::SystemTime::now();
        orders.add(1, &[KeyValue::new("late", "yes")]);
        let report = json!({
            "before": since(before),
            "between": since(between),
            "first": first,
            "page": telemetry::scrape::render(),
            "open_metrics": telemetry::scrape::render_open_metrics(),
        });
        shutdown_at_once(&guard);
        report
    })
    .run();
    let [before, between] = ["before", "between"].map(|key| report.result[key].as_f64().unwrap());
    let page = report.result["open_metrics"].as_str().unwrap();
    let wallet = "domain=\"wallet\",operation=\"create\",outcome=\"ok\"";
    for series in [format!("business_operations_created{{{wallet}}}"), of_users("orders_created")] {
        let created = sample(page, &series);
        assert!(created > 1e9 && created <= between, "{series} {created}");
        assert!((created - sample(report.result["first"].as_str().unwrap(), &series)).abs() < f64::EPSILON);
    }
    assert!(sample(page, &format!("business_operation_duration_seconds_created{{{wallet}}}")) > 1e9);
    assert!(sample(page, &of_users("lasts_created")) >= (before * 1e3).floor() / 1e3);
    // It was not there at the first collection, which was later than the creation of the instrument.
    let late = sample(page, "orders_created{late=\"yes\",otel_scope_name=\"users\"}");
    assert!(late >= sample(page, &of_users("orders_created")) && late <= between, "{late} {between}");
    assert!(page.contains(&of_users("observed_total")) && !page.contains("observed_created"), "{page}");
    assert!(!report.page().contains("_created"));
    parsed(&report);
}

fn since(at: std::time::SystemTime) -> f64 {
    at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The series of our own families: all that do not come from an instrument.
fn ours(families: &[Family]) -> BTreeSet<String> {
    let samples = families.iter().flat_map(|family| &family.samples);
    let ours =
        samples.filter(|sample| !sample.labels.contains_key("otel_scope_name") && !sample.name.starts_with("target"));
    ours.map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect()
}

#[test]
fn no_instrument_makes_the_page_invalid_or_hides_a_series_of_ours() {
    let child = in_child!(|| pages_after(|_| record_all(&from_parent())));
    let baseline = child.clone().env(VARIABLE, "[]").run();
    let baseline = parsed(&baseline).map(|families| ours(&families));
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(40);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(instruments in instruments())| {
        let report = child.clone().env(VARIABLE, &serde_json::to_string(&instruments).unwrap()).run();
        for (families, baseline) in parsed(&report).iter().zip(&baseline) {
            let missing: Vec<_> = baseline.difference(&ours(families)).cloned().collect();
            prop_assert!(missing.is_empty(), "{:?}", missing);
        }
    });
}

#[test]
fn an_instrument_cannot_take_the_page_beyond_the_limits_of_prometheus() {
    let report = in_child!(|| pages_after(|meter| {
        let long = "é".repeat(5_000);
        let many = (0..60).map(|n| KeyValue::new(format!("key{n}"), long.clone())).collect::<Vec<_>>();
        meter.u64_counter("wide").build().add(1, &many);
        let name = format!("n{}", "a".repeat(250));
        meter.u64_gauge(name).build().record(1, &[KeyValue::new(long.clone() + "x".repeat(400).as_str(), long)]);
        for name in ["a", "b", "c", "z"] {
            let lasts = meter.f64_histogram(name).with_unit("s").build();
            for id in 0..if name == "z" { 1 } else { 400 } {
                lasts.record(0.1, &[KeyValue::new("id", id)]);
            }
        }
    }))
    .run();
    assert_eq!(left_out(&report), Vec::<[String; 3]>::new());
    for families in parsed(&report) {
        for family in &families {
            for support::Sample { name, labels, .. } in &family.samples {
                assert!(name.len() <= 300 && labels.len() < 32, "{name} {labels:?}");
                assert!(labels.iter().all(|(name, value)| name.len() <= 120 && value.len() <= 300), "{labels:?}");
            }
        }
        // Each of 400 series with 22 lines, that of its time of birth among them.
        let named = |name: &str| families.iter().any(|family| family.name == name);
        assert_eq!(["a", "b", "c", "z"].map(|name| named(&format!("{name}_seconds"))), [true, false, false, true]);
    }
    let counted = "telemetry_instruments_dropped_total{reason=\"too_large\"}";
    assert_sample(report.result["open_metrics"].as_str().unwrap(), counted, 2);
    let said = report.log().into_iter().filter(|line| line["reason"] == "too_large").count();
    assert_eq!(said, 2);
}

/// A response to a request with these headers.
type Ask = dyn Fn(&str, &[(&str, &str)]) -> http::Response<Vec<u8>>;

/// Asks the page's own listener.
fn of_listener(method: &str, headers: &[(&str, &str)]) -> http::Response<Vec<u8>> {
    let port: u16 = std::env::var("OTEL_EXPORTER_PROMETHEUS_PORT").unwrap().parse().unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{method} /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n").unwrap();
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n").unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut response = http::Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    response.body(answer[end + 4..].to_vec()).unwrap()
}

/// Asks the router that an application mounts.
fn of_router(method: &str, headers: &[(&str, &str)]) -> http::Response<Vec<u8>> {
    let mut request = http::Request::builder().method(method).uri("/metrics");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    support::current_thread().block_on(async {
        let router: axum::Router = telemetry::scrape::router();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        http::Response::from_parts(parts, body.collect().await.unwrap().to_bytes().to_vec())
    })
}

/// What a page is like, for each of these requests on both doors.
fn answers() -> Value {
    let guard = start();
    create_wallet(7).unwrap();
    let doors: [(&str, &Ask); 2] = [("listener", &of_listener), ("router", &of_router)];
    let header = |response: &http::Response<Vec<u8>>, name: &str| {
        response.headers().get(name).map(|value| value.to_str().unwrap().to_ascii_lowercase().replace(' ', ""))
    };
    let answers: Vec<_> = doors
        .iter()
        .flat_map(|(door, ask)| REQUESTS.iter().map(move |(method, headers, ..)| (door, ask(method, headers))))
        .map(|(door, response)| {
            json!({
                "door": door,
                "status": response.status().as_u16(),
                "type": header(&response, "content-type"),
                "coding": header(&response, "content-encoding"),
                "length": header(&response, "content-length"),
                "vary": header(&response, "vary"),
                "allow": header(&response, "allow"),
                "body": response.body(),
            })
        })
        .collect();
    shutdown_at_once(&guard);
    json!({ "answers": answers })
}

const TEXT: &str = "text/plain;version=0.0.4;charset=utf-8";
const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.metricfamily;encoding=delimited";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0;charset=utf-8";

/// Requests, with the status, the type and the coding of their responses.
#[expect(clippy::type_complexity, reason = "a table")]
const REQUESTS: &[(&str, &[(&str, &str)], u16, &str, Option<&str>)] = &[
    ("GET", &[], 200, TEXT, None),
    ("GET", &[("accept", "*/*")], 200, TEXT, None),
    ("GET", &[("accept", "image/png")], 200, TEXT, None),
    ("GET", &[("accept", "application/openmetrics-text;version=1.0.0")], 200, OPEN_METRICS, None),
    ("GET", &[("accept", "application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.3")], 200, TEXT, None),
    ("GET", &[("accept", "text/plain;q=0.3"), ("accept", "application/openmetrics-text")], 200, OPEN_METRICS, None),
    ("GET", &[("accept", "application/*;q=0.9, text/plain;q=0.1")], 200, OPEN_METRICS, None),
    ("GET", &[("accept", "text/plain;q=0, */*")], 200, OPEN_METRICS, None),
    ("GET", &[("accept", ";;,q=1,application/openmetrics-text;q=")], 200, OPEN_METRICS, None),
    ("GET", &[("accept-encoding", "gzip")], 200, TEXT, Some("gzip")),
    ("GET", &[("accept-encoding", "br;q=1, *;q=0.1"), ("accept", OPEN_METRICS)], 200, OPEN_METRICS, Some("gzip")),
    ("GET", &[("accept-encoding", "gzip;q=0")], 200, TEXT, None),
    ("GET", &[("accept", "application/vnd.google.protobuf, text/plain;q=0.5")], 200, PROTOBUF, None),
    ("GET", &[("accept", PROTOBUF), ("accept-encoding", "gzip")], 200, PROTOBUF, Some("gzip")),
    ("HEAD", &[], 200, TEXT, None),
    (
        "HEAD",
        &[("accept-encoding", "gzip"), ("accept", "application/openmetrics-text")],
        200,
        OPEN_METRICS,
        Some("gzip"),
    ),
];

#[test]
fn both_doors_negotiate_format_and_coding_as_rfc_9110_says() {
    let port = stack::addresses::free_address().unwrap().port().to_string();
    let report = in_child!(answers).env("OTEL_EXPORTER_PROMETHEUS_PORT", &port).run();
    let answers = report.result["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 2 * REQUESTS.len());
    for (answer, (method, headers, status, content_type, coding)) in answers.iter().zip(REQUESTS.iter().cycle()) {
        let what = format!("{} {method} {headers:?}", answer["door"]);
        assert_eq!(answer["status"], *status, "{what}");
        assert_eq!(answer["type"], *content_type, "{what}");
        assert_eq!(answer["coding"].as_str(), *coding, "{what}");
        assert_eq!(answer["vary"], "accept,accept-encoding", "{what}");
        let body: Vec<u8> = serde_json::from_value(answer["body"].clone()).unwrap();
        let length: usize = answer["length"].as_str().expect("a length").parse().unwrap();
        if *method == "HEAD" {
            assert!(body.is_empty() && length > 100, "{what}");
            continue;
        }
        assert_eq!(body.len(), length, "{what}");
        let page = if coding.is_some() { unzipped(&body) } else { body };
        if *content_type == PROTOBUF {
            let name = b"business_operations_total";
            assert!(page.windows(name.len()).any(|bytes| bytes == name), "{what}");
            continue;
        }
        let page = String::from_utf8(page).unwrap();
        let format = if *content_type == TEXT { Exposition::Text } else { Exposition::OpenMetrics };
        let families = format.parse(&page).unwrap_or_else(|error| panic!("{what}: {error}\n{page}"));
        assert!(families.iter().any(|family| family.name.starts_with("business_operations")), "{what}");
    }
}

fn unzipped(page: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(page).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn other_methods_are_refused_with_those_that_are_allowed() {
    let port = stack::addresses::free_address().unwrap().port().to_string();
    let report = in_child!(|| {
        let guard = start();
        let answers: Vec<_> = ["POST", "PUT", "DELETE", "OPTIONS"]
            .iter()
            .flat_map(|method| [of_listener(method, &[]), of_router(method, &[])])
            .map(|response| {
                let allow = response.headers().get("allow").map(|value| value.to_str().unwrap().replace(' ', ""));
                json!([response.status().as_u16(), allow])
            })
            .collect();
        shutdown_at_once(&guard);
        json!(answers)
    })
    .env("OTEL_EXPORTER_PROMETHEUS_PORT", &port)
    .run();
    let answers = report.result.as_array().unwrap();
    assert_eq!(answers.len(), 8);
    assert!(answers.iter().all(|answer| *answer == json!([405, "GET,HEAD"])), "{answers:?}");
}
