//! The wallet service with the real Jaeger and the real Prometheus, asserted through their APIs.

use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use stack::addresses::{Port, free_address};
use stack::native::Program;
use stack::query::{Jaeger, Prometheus, wait_until};
use stack::service::{Service, ServiceOptions};
use stack::trace::Trace;
use stack::{Options, Stack, System as Server};
use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{PATIENCE, in_child, multi_thread, record_instruments, shutdown, shutdown_at_once, start};
use telemetry::opentelemetry::Context;
use telemetry::opentelemetry::trace::TraceContextExt as _;

#[path = "support/payments.rs"]
mod payments;

const POLL: Duration = Duration::from_millis(100);

/// A stack and a service that reports to it.
struct System {
    service: Service,
    jaeger: Jaeger,
    prometheus: Prometheus,
    stack: Stack,
}

impl System {
    fn start(name: &str) -> Self {
        Self::with_service(name, None)
    }

    /// With another service than the wallet's.
    fn with_service(name: &str, program: Option<PathBuf>) -> Self {
        let metrics = free_address().unwrap();
        let stack = Stack::start(&Options::free_ports(name).scraping(metrics)).unwrap();
        let service = Service::start(&ServiceOptions {
            name: name.to_owned(),
            otlp_endpoint: Some(stack.otlp_grpc_url()),
            metrics: Some(metrics),
            env: vec![("CHAIN_LATENCY_SCALE".to_owned(), "0".to_owned())],
            program,
            ..ServiceOptions::default()
        });
        let (jaeger, prometheus) = (Jaeger::new(stack.jaeger_url()), Prometheus::new(stack.prometheus_url()));
        Self { service: service.unwrap(), jaeger, prometheus, stack }
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into()
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut response = Self::agent().post(format!("{}{path}", self.service.url())).send_json(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_json().unwrap())
    }

    fn page(&self) -> String {
        Self::agent().get(self.service.metrics_url()).call().unwrap().body_mut().read_to_string().unwrap()
    }

    /// The access lines of a route.
    fn access_lines(&self, route: &str) -> Vec<Value> {
        let lines = self.service.log_lines();
        let parsed = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        parsed.filter(|line| line["target"] == "http_access" && line["route"] == route).collect()
    }

    /// The value of a query, as soon as it is this one.
    fn wait_for_value(&self, query: &str, value: f64) {
        wait_until(PATIENCE, POLL, format!("{query} to be {value}"), || {
            let samples = self.prometheus.instant(query)?;
            let equal = samples.len() == 1 && (samples[0].value - value).abs() < f64::EPSILON;
            Ok::<_, stack::Error>(equal.then_some(()))
        })
        .unwrap();
    }
}

#[test]
fn one_swap_is_one_trace_in_jaeger_one_count_in_prometheus_and_lines_with_the_same_id() {
    let system = System::start("test_swap");
    let wallet = |asset: &str| {
        let body = serde_json::json!({"chain": "ethereum", "asset": asset, "opening_balance": 1_000_000});
        system.post("/api/v1/wallets", &body).1["id"].clone()
    };
    let swap = serde_json::json!({"from": wallet("ETH"), "to": wallet("USDC"), "amount": 1_000});
    assert_eq!(system.post("/api/v1/swap", &swap).0, 201);

    let trace_id = wait_until(PATIENCE, POLL, "the access line", || {
        let lines = system.access_lines("/api/v1/swap");
        Ok::<_, stack::Error>(lines.first().and_then(|line| line["trace_id"].as_str().map(ToOwned::to_owned)))
    })
    .unwrap();
    let trace: Trace = wait_until(PATIENCE, POLL, "the trace in Jaeger", || {
        let trace = system.jaeger.trace(&trace_id)?;
        Ok::<_, stack::Error>(trace.filter(|trace| trace.span("POST /api/v1/swap").is_some()))
    })
    .unwrap();
    let parent = |child: &str| {
        let span = trace.span(child).unwrap_or_else(|| panic!("no {child} in\n{}", trace.tree()));
        trace.parent(span).map(|parent| parent.name.clone())
    };
    assert_eq!(parent("swap.execute").as_deref(), Some("POST /api/v1/swap"));
    assert_eq!(parent("transaction.send").as_deref(), Some("swap.execute"));
    assert_eq!(parent("db.transfer").as_deref(), Some("transaction.send"));
    let server = trace.span("POST /api/v1/swap").unwrap();
    assert_eq!((server.kind, server.attribute("http.response.status_code")), ("server", Some("201")));

    system.wait_for_value(r#"http_requests_total{job="ironcore",route="/api/v1/swap",status="201"}"#, 1.0);
    system.wait_for_value(r#"business_operations_total{domain="swap",operation="execute",outcome="ok"}"#, 1.0);
    let inside = system.service.log_lines().into_iter().filter(|line| line.contains(&trace_id)).count();
    assert!(inside >= 2, "the handler's own line and the access line");
}

#[test]
fn a_swap_over_http_grpc_and_a_database_is_one_trace() {
    let program = Service::build_example("tonic_swap").unwrap();
    let system = System::with_service("test_tonic_swap", Some(program));
    let swap = serde_json::json!({"from": "ETH", "to": "USDC", "amount": 2});
    assert_eq!(system.post("/swap", &swap).1["received"], 6_200);
    let whole = |trace: &Trace| trace.spans.len() == 7;
    let trace = wait_until(PATIENCE, POLL, "the trace in Jaeger", || {
        let traces = system.jaeger.traces("ironcore", 10)?;
        Ok::<_, stack::Error>(traces.into_iter().find(whole))
    })
    .unwrap();
    // Without the durations.
    let tree = trace.tree();
    let name = |line: &str| {
        let begins = line.find(char::is_alphanumeric)?;
        let ends = begins + line[begins..].find("  ")?;
        Some(line[..ends].to_owned())
    };
    let names: Vec<_> = tree.lines().skip(1).filter_map(name).collect();
    assert_eq!(
        names,
        [
            "POST /swap",
            "└─ ironcore.swap.v1.Swap/Execute",
            "   └─ ironcore.swap.v1.Swap/Execute",
            "      └─ swap.execute",
            "         ├─ GET",
            "         │  └─ GET /price",
            "         └─ INSERT swaps",
        ],
        "{tree}"
    );
    let kinds: Vec<_> = trace.spans.iter().map(|span| span.kind).collect();
    for (kind, count) in [("server", 3), ("client", 3), ("internal", 1)] {
        let of_kind = kinds.iter().filter(|found| **found == kind).count();
        assert_eq!(of_kind, count, "{kind} in {kinds:?}");
    }
}

#[test]
fn a_user_can_quote_the_trace_of_a_request_that_was_refused() {
    let system = System::start("test_quote");
    let (status, answer) = system.post("/api/v1/swap", &serde_json::json!({}));
    assert_eq!(status, 400, "{answer}");
    let quoted = answer["error"]["request_id"].as_str().unwrap();
    let trace = wait_until(PATIENCE, POLL, "the trace in Jaeger", || system.jaeger.trace(quoted));
    assert!(trace.unwrap().span("POST /api/v1/swap").is_some());
}

#[test]
fn a_thousand_requests_are_a_thousand_spans_a_thousand_counts_and_a_thousand_lines() {
    const ROUTE: &str = "/api/v1/wallets";
    let system = System::start("test_thousand");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let agent = System::agent();
                for _ in 0..125 {
                    assert_eq!(agent.get(format!("{}{ROUTE}", system.service.url())).call().unwrap().status(), 200);
                }
            });
        }
    });
    let lines = wait_until(PATIENCE, POLL, "1,000 access lines", || {
        Ok::<_, stack::Error>(Some(system.access_lines(ROUTE)).filter(|lines| lines.len() == 1_000))
    })
    .unwrap();
    let logged: BTreeSet<_> = lines.iter().map(|line| line["trace_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(logged.len(), 1_000);
    let server_spans = |traces: &[Trace]| -> BTreeSet<(String, String)> {
        let spans = traces.iter().flat_map(|trace| trace.spans.iter().map(|span| (&trace.trace_id, span)));
        let spans = spans.filter(|(_, span)| span.name == format!("GET {ROUTE}"));
        spans.map(|(trace, span)| (trace.clone(), span.span_id.clone())).collect()
    };
    let spans = wait_until(PATIENCE, POLL, "1,000 server spans in Jaeger", || {
        let spans = server_spans(&system.jaeger.traces("ironcore", 3_000)?);
        Ok::<_, stack::Error>((spans.len() >= 1_000).then_some(spans))
    })
    .unwrap();
    assert_eq!(spans.len(), 1_000);
    let stored: BTreeSet<_> = spans.iter().map(|(trace, _)| trace.clone()).collect();
    assert_eq!(stored, logged, "the ids in the log are exactly those in Jaeger");
    let of_lines: HashSet<_> = lines.iter().map(|line| line["span_id"].as_str().unwrap()).collect();
    assert!(spans.iter().all(|(_, span)| of_lines.contains(span.as_str())));
    system.wait_for_value(&format!(r#"sum(http_requests_total{{job="ironcore",route="{ROUTE}"}})"#), 1_000.0);
    system.wait_for_value(&format!(r#"sum(http_request_duration_seconds_count{{route="{ROUTE}"}})"#), 1_000.0);
    system.wait_for_value("sum(telemetry_dropped_total)", 0.0);
}

#[test]
fn the_value_of_a_secret_field_reaches_no_span_no_metric_and_no_line() {
    const CANARY: &str = "canarybird";
    let system = System::start("test_secret");
    let mnemonic = [CANARY; 7].join(" ");
    let body = serde_json::json!({"chain": "ethereum", "asset": "ETH", "mnemonic": mnemonic});
    let (status, answer) = system.post("/api/v1/wallets", &body);
    assert_eq!((status, answer["error"]["code"].as_str()), (422, Some("bad_mnemonic")));
    let misplaced = serde_json::json!({"chain": "ethereum", "asset": "ETH", "mnemonic": {CANARY: CANARY}, CANARY: 1});
    assert_eq!(system.post("/api/v1/wallets", &misplaced).0, 400);

    let traces = wait_until(PATIENCE, POLL, "both requests in Jaeger", || {
        let traces = system.jaeger.traces("ironcore", 100)?;
        let requests = traces.iter().filter(|trace| trace.span("POST /api/v1/wallets").is_some()).count();
        Ok::<_, stack::Error>((requests == 2).then_some(traces))
    })
    .unwrap();
    system.wait_for_value(r#"sum(http_requests_total{method="POST",route="/api/v1/wallets"})"#, 2.0);
    let page = system.page();
    let lines = system.service.log_lines().join("\n");
    for (place, text) in
        [("traces", format!("{traces:?}")), ("metrics", page), ("log", lines), ("answer", answer.to_string())]
    {
        assert!(!text.contains(CANARY), "in the {place}: {text}");
        assert!(!text.is_empty());
    }
}

#[test]
fn the_service_stops_cleanly_and_no_server_of_the_stack_stays_behind() {
    let system = System::start("test_stop");
    let (jaeger, prometheus) = (system.stack.jaeger_url(), system.stack.prometheus_url());
    assert!(system.service.stop().unwrap().success());
    drop(system.stack);
    for url in [jaeger, prometheus] {
        let address = url.strip_prefix("http://").unwrap().to_owned();
        assert!(std::net::TcpStream::connect(&address).is_err(), "{address} still listens");
    }
}

#[telemetry::instrument_business]
fn create_wallet() -> bool {
    Context::map_current(|context| context.span().span_context().is_sampled())
}

#[test]
fn the_real_jaeger_tells_the_service_how_to_sample() {
    let child = in_child!(|| {
        let guard = start();
        wait_until(PATIENCE, POLL, "a trace that is recorded", || {
            Ok::<_, std::convert::Infallible>(create_wallet().then_some(()))
        })
        .unwrap();
        let page = telemetry::scrape::render();
        serde_json::json!({ "page": page, "lost": shutdown(&guard) })
    });
    let stack = Stack::start(&Options::free_ports("test_sampling").with(&[Server::Jaeger])).unwrap();
    let endpoint = stack.address(Port::JaegerSampling);
    // Nothing is recorded but what Jaeger says.
    let argument = format!("endpoint=http://{endpoint},pollingIntervalMs=100,initialSamplingRate=0");
    let child = child
        .env("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote")
        .env("OTEL_TRACES_SAMPLER_ARG", &argument)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &stack.otlp_grpc_url());
    let report = child.run();
    assert_eq!(report.lost(), None);
    assert!(report.page().contains(r#"telemetry_degraded{component="sampling"} 0"#), "{}", report.page());
    // As `jaeger/sampling.json` has it.
    assert!(report.log().iter().any(|line| line["sampling"] == "1 of all traces"), "{report:?}");
    let jaeger = Jaeger::new(stack.jaeger_url());
    wait_until(PATIENCE, POLL, "the trace in Jaeger", || {
        let traces = jaeger.traces("tests", 10)?;
        Ok::<_, stack::Error>(traces.iter().any(|trace| trace.span("wallet.create").is_some()).then_some(()))
    })
    .unwrap();
}

/// The page of a process in which this has been recorded.
fn page_after(record: impl FnOnce()) -> Value {
    let guard = start();
    record();
    let page = telemetry::scrape::render();
    shutdown_at_once(&guard);
    serde_json::json!({ "page": page })
}

#[test]
fn promtool_accepts_every_page() {
    let at_zero = in_child!(|| page_after(|| {}));
    let with_endings = in_child!(|| page_after(|| multi_thread().block_on(payments::pay_with_every_ending())));
    let with_instruments = in_child!(|| page_after(record_instruments));
    let promtool = Program::Promtool.path().unwrap();
    let system = System::start("test_page");
    let pages = [
        ("at zero", at_zero.run().page().to_owned(), 0),
        ("every ending", with_endings.run().page().to_owned(), 0),
        ("the service", system.page(), 0),
        // Readable, but with names of a user's that break conventions: promtool reports these with 3.
        ("instruments", with_instruments.run().page().to_owned(), 3),
    ];
    for (what, page, expected) in pages {
        let mut check = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{what}: {message}\n{page}");
    }
}

#[telemetry::instrument_business(payment)]
fn settle(amount: i64) -> Result<i64, String> {
    if amount < 0 { Err("overdrawn".to_owned()) } else { Ok(amount) }
}

/// Waits for it: Prometheus keeps one value for each.
fn next_millisecond() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let before = now();
    while now() == before {
        std::hint::spin_loop();
    }
}

/// A Prometheus that metrics are pushed to. It ends with the test.
struct Pushed {
    process: std::process::Child,
    url: String,
}

impl Pushed {
    fn start() -> Self {
        let folder = stack::paths::target_dir().join("stack/test_push");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("prometheus.yml"), "global: {}\n").unwrap();
        let address = free_address().unwrap();
        let process = Command::new(Program::Prometheus.path().unwrap())
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-otlp-receiver", "--enable-feature=otlp-deltatocumulative,exemplar-storage"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, url: format!("http://{address}") }
    }

    /// The value of a query, as soon as it has one.
    fn value(&self, query: &str) -> f64 {
        let prometheus = Prometheus::new(&self.url);
        wait_until(PATIENCE, POLL, format!("{query} to have a value"), || {
            // It may not listen yet.
            let samples = prometheus.instant(query).unwrap_or_default();
            Ok::<_, stack::Error>(samples.first().map(|sample| sample.value))
        })
        .unwrap()
    }
}

impl Drop for Pushed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_pushed_to_prometheus_is_what_was_counted_in_every_form() {
    let child = in_child!(|| {
        let guard = start();
        let orders = opentelemetry::global::meter("users").u64_counter("orders").build();
        for amount in 0..5 {
            settle(amount).unwrap();
            orders.add(2, &[]);
            next_millisecond();
            let _ = guard.flush(PATIENCE);
        }
        next_millisecond();
        json!({ "lost": shutdown(&guard) })
    });
    let prometheus = Pushed::start();
    assert!((prometheus.value("vector(1)") - 1.0).abs() < f64::EPSILON);
    for (preference, buckets, count) in [
        ("cumulative", "explicit_bucket_histogram", "business_operation_duration_seconds_count"),
        ("delta", "explicit_bucket_histogram", "business_operation_duration_seconds_count"),
        ("delta", "base2_exponential_bucket_histogram", "business_operation_duration_seconds"),
        ("cumulative", "base2_exponential_bucket_histogram", "business_operation_duration_seconds"),
    ] {
        let service = format!("{preference}-{buckets}");
        let report = child
            .clone()
            .env("OTEL_RESOURCE_ATTRIBUTES", &format!("service.namespace={service}"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_METRICS_EXPORTER", "otlp")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{}/api/v1/otlp", prometheus.url))
            .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
            .env("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", buckets)
            .run();
        assert_eq!(report.lost(), None, "{service}");
        let series = format!(r#"{{job="{service}/tests",outcome="ok",domain="payment",operation="settle"}}"#);
        let count = format!("{count}{series}");
        let count = if buckets.starts_with("base2") { format!("histogram_count({count})") } else { count };
        for (query, expected) in [
            (format!("business_operations_total{series}"), 5.0),
            (count, 5.0),
            (format!(r#"orders_total{{job="{service}/tests"}}"#), 10.0),
        ] {
            let value = prometheus.value(&query);
            assert!((value - expected).abs() < f64::EPSILON, "{service}: {query} is {value}");
        }
    }
}
