//! Users' own instruments, and the first failure of a quiet service, with the real promtool and the real Prometheus.

use arbitrary::{Instrument, VARIABLE, from_parent, instruments, record_all};
use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use http_body_util::BodyExt;
use ironcore_telemetry::{self as telemetry, HttpTelemetryLayer};
use opentelemetry::KeyValue;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use stack::addresses::free_address;
use stack::native::Program;
use stack::query::{Prometheus, Sample as Stored, wait_until};
use stack::{Options, Stack, System};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::{
    Child as Scenario, Exposition, Family, PATIENCE, Sample, in_child, multi_thread, shutdown_at_once, start,
};
use tower::ServiceExt;

#[path = "support/arbitrary.rs"]
mod arbitrary;

const POLL: Duration = Duration::from_millis(200);
/// Sets of instruments that are tried.
const SETS: usize = 16;

#[telemetry::instrument_business]
fn create_wallet(balance: i64) -> Result<i64, String> {
    if balance < 0 { Err("overdrawn".to_owned()) } else { Ok(balance) }
}

/// One page of a service, as it is served to Prometheus.
struct Page {
    /// Its path without the slash, and the value of the label `test_page`.
    name: String,
    content_type: String,
    body: Vec<u8>,
    /// What it says, as text in this format.
    format: Exposition,
    text: String,
    instruments: String,
}

/// Serves the pages until the process ends.
fn serve(pages: Arc<Vec<Page>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let pages = Arc::clone(&pages);
            std::thread::spawn(move || answer(stream, &pages));
        }
    });
    address
}

/// Answers one request. Prometheus may leave while it is answered.
fn answer(mut stream: TcpStream, pages: &[Page]) -> Option<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&buffer[..read]);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let page = pages.iter().find(|page| page.name == path)?;
    let (content_type, length) = (&page.content_type, page.body.len());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&page.body)).ok()
}

/// A Prometheus with the limits of the shipped configuration. It ends with the test.
struct Scraper {
    process: Child,
    url: String,
}

impl Scraper {
    /// Starts it with these jobs.
    fn start(name: &str, jobs: &str) -> Self {
        let folder = stack::paths::target_dir().join("stack").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let shipped = std::fs::read_to_string(stack::paths::config_dir().join("prometheus/prometheus.yml")).unwrap();
        let mut config = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n".to_owned();
        let limit = |line: &&str| line.starts_with("  ") && line.contains("_limit: ") && !line.trim().starts_with('#');
        let limits: Vec<_> = shipped.lines().filter(limit).collect();
        assert!(limits.len() >= 4, "{limits:?}");
        for line in limits {
            writeln!(config, "{line}").unwrap();
        }
        writeln!(config, "scrape_configs:\n{jobs}").unwrap();
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let address = free_address().unwrap();
        let process = Command::new(Program::Prometheus.path().unwrap())
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage,created-timestamp-zero-ingestion")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, url: format!("http://{address}") }
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The job that scrapes these pages.
fn job_of(pages: &[Page], served_at: SocketAddr) -> String {
    let mut job = "  - job_name: pages\n    sample_limit: 20000\n    static_configs:\n".to_owned();
    for Page { name, .. } in pages {
        writeln!(job, "      - targets: ['{served_at}']").unwrap();
        writeln!(job, "        labels: {{ __metrics_path__: /{name}, test_page: {name} }}").unwrap();
    }
    job
}

/// The pages of a service with the instruments that the parent hands over.
fn recorded() -> Value {
    let guard = start();
    create_wallet(7).unwrap();
    record_all(&from_parent());
    // What the first page finds wrong with instruments is counted on the next ones.
    let _first = telemetry::scrape::render();
    let pages: Vec<_> = FORMATS.iter().map(|(_, accept)| page_for(accept)).collect();
    let report = json!({ "pages": pages, "page": telemetry::scrape::render() });
    shutdown_at_once(&guard);
    report
}

/// The formats of the page, and what a request accepts to get them.
const FORMATS: [(&str, &str); 3] = [
    ("text", "text/plain"),
    ("open", "application/openmetrics-text"),
    ("proto", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"),
];

/// The content type and the bytes of the page for a request.
fn page_for(accept: &str) -> (String, Vec<u8>) {
    let request = Request::get("/metrics").header("accept", accept).body(axum::body::Body::empty()).unwrap();
    support::current_thread().block_on(async {
        let router: Router = telemetry::scrape::router();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let content_type = parts.headers["content-type"].to_str().unwrap().to_owned();
        (content_type, body.collect().await.unwrap().to_bytes().to_vec())
    })
}

/// The pages of services with arbitrary instruments, in each format.
fn pages(child: &Scenario) -> Vec<Page> {
    let mut runner = TestRunner::default();
    let strategy = instruments();
    let sets = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current()).take(SETS);
    let without: Vec<Instrument> = Vec::new();
    let pages = std::iter::once(without).chain(sets).enumerate().flat_map(|(number, set)| {
        let instruments = serde_json::to_string(&set).unwrap();
        let report = child.clone().env(VARIABLE, &instruments).run();
        let pages: Vec<(String, Vec<u8>)> = serde_json::from_value(report.result["pages"].clone()).unwrap();
        let pages = FORMATS.iter().zip(pages).map(move |((format, _), (content_type, body))| {
            let name = format!("{format}_{number}");
            let (format, text) = match *format {
                "open" => (Exposition::OpenMetrics, String::from_utf8(body.clone()).unwrap()),
                // The same series.
                _ => (Exposition::Text, report.page().to_owned()),
            };
            let difference = first_difference(&String::from_utf8_lossy(&body), &text);
            assert!(name.starts_with("proto") || difference.is_none(), "{name} is {content_type}: {difference:?}");
            Page { name, content_type, body, format, text, instruments: instruments.clone() }
        });
        pages.collect::<Vec<_>>()
    });
    pages.collect()
}

/// The first lines of two pages that differ. What waits for export is encoded in between, and takes fewer bytes then.
fn first_difference(one: &str, other: &str) -> Option<(String, String)> {
    let steady = |page: &str| {
        let lines = page.lines().filter(|line| !line.starts_with("telemetry_queued_bytes{"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, other) = (steady(one), steady(other));
    let longest = one.len().max(other.len());
    let line = |page: &[String], at: usize| page.get(at).cloned().unwrap_or_default();
    (0..longest).map(|at| (line(&one, at), line(&other, at))).find(|(one, other)| one != other)
}

/// The samples that Prometheus stores: all but times of birth.
fn stored_samples(family: &Family) -> impl Iterator<Item = &Sample> {
    let is_sum = matches!(family.kind.as_str(), "counter" | "histogram");
    family.samples.iter().filter(move |sample| !is_sum || sample.name != format!("{}_created", family.name))
}

/// The series of our own families on a page.
fn ours(families: &[Family]) -> BTreeSet<String> {
    let samples = families.iter().flat_map(stored_samples);
    let ours =
        samples.filter(|sample| !sample.labels.contains_key("otel_scope_name") && !sample.name.starts_with("target"));
    ours.map(|sample| {
        // Prometheus writes every bound as a float.
        let mut labels = sample.labels.clone();
        if let Some(bound) = labels.get_mut("le").filter(|bound| bound.bytes().all(|byte| byte.is_ascii_digit())) {
            bound.push_str(".0");
        }
        format!("{} {labels:?}", sample.name)
    })
    .collect()
}

fn promtool_accepts(page: &Page) {
    let mut check = Command::new(Program::Promtool.path().unwrap())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(page.text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    // 3: it is readable, but names or help texts of users break conventions.
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{message}\n{}\n{}", page.instruments, page.text);
}

#[test]
fn promtool_and_prometheus_take_every_page_whole_whatever_the_instruments() {
    let child = in_child!(recorded);
    let pages = Arc::new(pages(&child));
    for page in pages.iter().filter(|page| page.name.starts_with("text")) {
        promtool_accepts(page);
    }
    let scraper = Scraper::start("test_instruments", &job_of(&pages, serve(Arc::clone(&pages))));
    let prometheus = Prometheus::new(&scraper.url);
    for page in pages.iter() {
        let Page { name, format, text, instruments, .. } = page;
        let families = format.parse(text).unwrap_or_else(|error| panic!("{error}\n{instruments}\n{text}"));
        let up = format!("up{{test_page=\"{name}\"}}");
        let value = wait_until(PATIENCE, POLL, &up, || {
            Ok::<_, stack::Error>(prometheus.instant(&up).ok().and_then(|found| found.first().map(|up| up.value)))
        });
        assert!(value.unwrap() > 0.5, "{name} is refused; see target/stack/test_instruments\n{instruments}\n{text}");
        let stored = |query: &str| prometheus.instant(query).unwrap();
        let expected = families.iter().flat_map(stored_samples).count();
        let stored_count = stored(&format!("scrape_samples_scraped{{test_page=\"{name}\"}}"))[0].value;
        assert!(
            (stored_count - f64::from(u32::try_from(expected).unwrap())).abs() < 0.5,
            "{name}: {stored_count} of {expected}"
        );
        let mut all = stored(&format!("{{test_page=\"{name}\"}}"));
        // What Prometheus says of the scrape itself.
        all.retain(|Stored { labels, .. }| {
            let name = labels["__name__"].as_str();
            labels.contains_key("otel_scope_name") || !(name == "up" || name.starts_with("scrape_"))
        });
        assert_eq!(all.len(), expected, "{name}\n{instruments}\n{text}");
        let found: BTreeSet<_> = all
            .into_iter()
            .map(|sample| {
                let mut labels = sample.labels;
                labels.retain(|label, _| !["test_page", "job", "instance"].contains(&label.as_str()));
                let name = labels.remove("__name__").unwrap();
                format!("{name} {labels:?}")
            })
            .collect();
        let missing: Vec<_> = ours(&families).difference(&found).cloned().collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

/// What happens once in a quiet service, after Prometheus has scraped it a few times.
fn one_failure(prometheus: &str) {
    let prometheus = Prometheus::new(prometheus);
    wait_until(PATIENCE, POLL, "three scrapes", || {
        let scrapes = prometheus.instant("count_over_time(telemetry_queued[5m])").unwrap_or_default();
        Ok::<_, stack::Error>(scrapes.first().filter(|scrapes| scrapes.value >= 3.0).map(|_| ()))
    })
    .unwrap();
    let meter = opentelemetry::global::meter("users");
    meter.u64_counter("payments.refused").build().add(1, &[KeyValue::new("code", "limit")]);
    meter.f64_histogram("settlement").with_unit("s").build().record(3.0, &[KeyValue::new("bank", "x")]);
    let router: Router = Router::new()
        .route("/payments", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(HttpTelemetryLayer::new());
    let request = Request::get("/payments").body(axum::body::Body::empty()).unwrap();
    let response = support::current_thread().block_on(router.oneshot(request)).unwrap();
    drop(response);
    for counted in [
        r#"http_requests_total{route="/payments",status="500"}"#,
        r#"http_request_duration_seconds_count{route="/payments",status="500"}"#,
        r#"payments_refused_total{code="limit"}"#,
        r#"settlement_seconds_count{bank="x"}"#,
        r#"settlement_seconds_bucket{bank="x",le="5.0"}"#,
    ] {
        let increase = format!("increase({counted}[5m])");
        let value = wait_until(PATIENCE, POLL, &increase, || {
            let found = prometheus.instant(&increase)?;
            Ok::<_, stack::Error>(found.first().map(|sample| sample.value).filter(|value| *value >= 0.99))
        });
        let value = value.unwrap();
        assert!(value < 1.5, "{increase} is {value}");
    }
}

#[test]
fn the_first_failure_of_a_quiet_service_is_an_increase_of_one() {
    let child = in_child!(|| {
        let guard = start();
        one_failure(&std::env::var("PROMETHEUS").unwrap());
        shutdown_at_once(&guard);
        json!(null)
    });
    let metrics = free_address().unwrap();
    let options = Options::free_ports("test_first_failure").with(&[System::Prometheus]).scraping(metrics);
    let stack = Stack::start(&options).unwrap();
    let child = child.env("OTEL_EXPORTER_PROMETHEUS_PORT", &metrics.port().to_string());
    let _ = child.env("PROMETHEUS", &stack.prometheus_url()).run();
}

/// Calls in the test of quantiles.
const CALLS: usize = 100_000;
const CALLS_AT_ONCE: usize = 5_000;

#[telemetry::instrument_business(domain = "payment", name = "settle")]
async fn settle(lasts: Duration) {
    tokio::time::sleep(lasts).await;
}

/// A duration from a log-normal distribution with a median of 10 ms, from two numbers between 0 and 1 (Box and Muller).
fn log_normal(one: f64, other: f64) -> Duration {
    let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
    Duration::from_secs_f64(0.01 * (0.8 * normal).exp())
}

/// The durations of calls in seconds, in ascending order, as their caller measured them.
async fn settle_many() -> Vec<f64> {
    let mut state = 7_u64;
    let mut uniform = move || {
        // An LCG; the upper half of its state is random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (f64::from(u32::try_from(state >> 32).unwrap()) + 0.5) / 4_294_967_296.0
    };
    let mut measured = Vec::with_capacity(CALLS);
    for _ in 0..CALLS / CALLS_AT_ONCE {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..CALLS_AT_ONCE {
            let lasts = log_normal(uniform(), uniform());
            calls.spawn(async move {
                let begun = std::time::Instant::now();
                settle(lasts).await;
                begun.elapsed().as_secs_f64()
            });
        }
        measured.extend(calls.join_all().await);
    }
    measured.sort_by(f64::total_cmp);
    measured
}

/// The calls, once Prometheus has asked for native histograms, and what it makes of them.
fn settle_for(prometheus: &str) {
    let api = Prometheus::new(prometheus);
    let wait_for = |query: &str, value: f64| {
        wait_until(PATIENCE, POLL, query, || {
            let found = api.instant(query).unwrap_or_default();
            Ok::<_, stack::Error>(found.first().filter(|found| (found.value - value).abs() < 0.5).map(|_| ()))
        })
        .unwrap();
    };
    let series = "business_operation_duration_seconds{operation=\"settle\",outcome=\"ok\"}";
    wait_for(&format!("histogram_count({series})"), 0.0);
    let measured = multi_thread().block_on(settle_many());
    wait_for(&format!("histogram_count({series})"), 100_000.0);
    for quantile in [0.5, 0.95, 0.99, 0.999] {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below 100,000")]
        let rank = (quantile * 100_000.0) as usize;
        let exact = measured[rank - 1];
        let found = api.instant(&format!("histogram_quantile({quantile}, {series})")).unwrap()[0].value;
        assert!((found / exact - 1.0).abs() < 0.05, "p{quantile} is {found}, not {exact}");
    }
    let classic = r#"business_operation_duration_seconds_bucket{operation="settle",outcome="ok",le="+Inf"}"#;
    wait_for(classic, 100_000.0);
    let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let exemplars: Value = agent
        .get(format!("{prometheus}/api/v1/query_exemplars"))
        .query("query", series)
        .query("start", (now - 600).to_string())
        .query("end", (now + 60).to_string())
        .call()
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap();
    let trace = exemplars["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str().unwrap_or_default();
    assert_eq!(trace.len(), 32, "{exemplars}");
}

#[test]
fn quantiles_of_native_histograms_are_within_five_percent_and_lead_to_traces() {
    let child = in_child!(|| {
        let guard = start();
        settle_for(&std::env::var("PROMETHEUS").unwrap());
        shutdown_at_once(&guard);
        json!(null)
    });
    let metrics = free_address().unwrap();
    let job = format!(
        "  - job_name: native\n    scrape_native_histograms: true\n    always_scrape_classic_histograms: true\n    \
         static_configs:\n      - targets: ['{metrics}']\n"
    );
    let scraper = Scraper::start("test_native", &job);
    let child = child.env("OTEL_EXPORTER_PROMETHEUS_PORT", &metrics.port().to_string()).env("RUST_LOG", "off");
    let _ = child.env("PROMETHEUS", &scraper.url).run();
}
