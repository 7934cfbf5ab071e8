//! Users' own instruments, and the first failure of a quiet service, with the real promtool and the real Prometheus.

use arbitrary::{Instrument, VARIABLE, from_parent, instruments, record_all};
use axum::Router;
use axum::http::{Request, StatusCode};
use axum::routing::get;
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
use support::{Child as Scenario, Exposition, Family, PATIENCE, Sample, in_child, shutdown_at_once, start};
use tower::ServiceExt;

#[path = "support/arbitrary.rs"]
mod arbitrary;

const POLL: Duration = Duration::from_millis(200);
/// Sets of instruments that are tried.
const SETS: usize = 24;

#[telemetry::instrument_business]
fn create_wallet(balance: i64) -> Result<i64, String> {
    if balance < 0 { Err("overdrawn".to_owned()) } else { Ok(balance) }
}

/// One page of a service, as it is served to Prometheus.
struct Page {
    /// Its path without the slash, and the value of the label `test_page`.
    name: String,
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
    let content_type = match page.format {
        Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
        Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    let length = page.text.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.text.as_bytes())).ok()
}

/// A Prometheus that scrapes these pages, with the limits of the shipped configuration. It ends with the test.
struct Scraper {
    process: Child,
    url: String,
}

impl Scraper {
    fn start(pages: &[Page], served_at: SocketAddr) -> Self {
        let folder = stack::paths::target_dir().join("stack/test_instruments");
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
        config.push_str("scrape_configs:\n  - job_name: pages\n    sample_limit: 20000\n    static_configs:\n");
        for Page { name, .. } in pages {
            writeln!(config, "      - targets: ['{served_at}']").unwrap();
            writeln!(config, "        labels: {{ __metrics_path__: /{name}, test_page: {name} }}").unwrap();
        }
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

/// The pages of a service with the instruments that the parent hands over.
fn recorded() -> Value {
    let guard = start();
    create_wallet(7).unwrap();
    record_all(&from_parent());
    let report = json!({
        "page": telemetry::scrape::render(),
        "open_metrics": telemetry::scrape::render_open_metrics(),
    });
    shutdown_at_once(guard);
    report
}

/// The pages of services with arbitrary instruments, in both formats.
fn pages(child: &Scenario) -> Vec<Page> {
    let mut runner = TestRunner::default();
    let strategy = instruments();
    let sets = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current()).take(SETS);
    let without: Vec<Instrument> = Vec::new();
    let pages = std::iter::once(without).chain(sets).enumerate().flat_map(|(number, set)| {
        let instruments = serde_json::to_string(&set).unwrap();
        let report = child.clone().env(VARIABLE, &instruments).run();
        let page = |name: String, format, text: &str| Page {
            name,
            format,
            text: text.to_owned(),
            instruments: instruments.clone(),
        };
        [
            page(format!("text_{number}"), Exposition::Text, report.page()),
            page(format!("open_{number}"), Exposition::OpenMetrics, report.result["open_metrics"].as_str().unwrap()),
        ]
    });
    pages.collect()
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
    for page in pages.iter().filter(|page| page.format == Exposition::Text) {
        promtool_accepts(page);
    }
    let scraper = Scraper::start(&pages, serve(Arc::clone(&pages)));
    let prometheus = Prometheus::new(&scraper.url);
    for page in pages.iter() {
        let Page { name, format, text, instruments } = page;
        let families = format.parse(text).unwrap_or_else(|error| panic!("{error}\n{instruments}\n{text}"));
        let up = format!("up{{test_page=\"{name}\"}}");
        let value = wait_until(PATIENCE, POLL, &up, || {
            Ok::<_, stack::Error>(prometheus.instant(&up).ok().and_then(|found| found.first().map(|up| up.value)))
        });
        assert!(value.unwrap() > 0.5, "{name} is refused; see target/stack/test_instruments\n{instruments}\n{text}");
        let stored = |query: &str| prometheus.instant(query).unwrap();
        let expected = families.iter().flat_map(stored_samples).count();
        let scraped = stored(&format!("scrape_samples_scraped{{test_page=\"{name}\"}}"))[0].value;
        assert!((scraped - f64::from(u32::try_from(expected).unwrap())).abs() < 0.5, "{name}: {scraped} of {expected}");
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
        shutdown_at_once(guard);
        json!(null)
    });
    let metrics = free_address().unwrap();
    let options = Options::free_ports("test_first_failure").with(&[System::Prometheus]).scraping(metrics);
    let stack = Stack::start(&options).unwrap();
    let child = child.env("OTEL_EXPORTER_PROMETHEUS_PORT", &metrics.port().to_string());
    let _ = child.env("PROMETHEUS", &stack.prometheus_url()).run();
}
