//! Rules and dashboards against the metrics of the real programs: every metric and label that one of them names must
//! have series when the whole stack runs and the service is used. This finds what a static check cannot: a wrong suffix
//! or unit, a renamed label, two sides of a match that never meet.

mod support;

use serde_json::{Value, json};
use stack::addresses::free_address;
use stack::packaged::Packaged;
use stack::query::{Api, wait_until};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;
use support::expressions::{Expression, dashboards};
use support::{PATIENCE, POLL, eventually_true, get, post, service};

/// Metrics that rules name although this test never produces them, and why.
const WITHOUT_SERIES: [(&str, &str); 6] = [
    ("telemetry_at_risk", "only with a spool"),
    ("telemetry_recovered_total", "only with a spool"),
    ("otelcol_exporter_enqueue_failed_spans_total", "created with the first full queue"),
    ("otelcol_exporter_enqueue_failed_log_records_total", "created with the first full queue"),
    ("otelcol_exporter_send_failed_spans_total", "created with the first failure"),
    ("otelcol_exporter_send_failed_log_records_total", "created with the first failure"),
];

/// Metrics of the library that neither a rule nor a dashboard reads, and why.
const NOT_READ: [(&str, &str); 2] = [
    ("target_info", "the resource attributes, for joins in ad-hoc queries"),
    ("telemetry_scrubbed_total", "which secrets the code records: for a review of the service"),
];

/// Loki is not part of the native stack: it is started too if it is installed, and else its own metrics are not
/// checked.
fn has_loki() -> bool {
    Packaged::Loki.path().is_ok()
}

/// Every system, a service that uses the stack's database, one that serves and calls gRPC, and a TLS server to probe.
struct Everything {
    service: Service,
    swap: Service,
    prometheus: Api,
    jaeger: Api,
    logs: Api,
    /// The URL of Loki, if it is installed.
    loki: Option<String>,
    _certificate: TlsServer,
    _stack: Stack,
}

impl Everything {
    fn start() -> Self {
        let metrics = free_address().unwrap();
        let mut systems = System::ALL.to_vec();
        if has_loki() {
            systems.push(System::Loki);
        } else {
            eprintln!("skipped: the metrics of Loki: no `loki` on the PATH");
        }
        let options = Options::free_ports("test_contract").with(&systems).scraping(metrics);
        let stack = Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"));
        let certificate = TlsServer::start(&stack.folder());
        let target = json!([{"targets": [certificate.address], "labels": {"module": "tls", "service": "ironcore", "environment": "development", "cluster": "local", "host": "localhost"}}]);
        fs::write(stack.folder().join("prometheus/scrape/targets/tls.yml"), target.to_string()).unwrap();
        let swap = Service::start(&ServiceOptions {
            name: "test_contract_swap".into(),
            otlp_endpoint: Some(stack.otlp_grpc_url()),
            program: Some(Service::build_example("tonic_swap").unwrap()),
            ..ServiceOptions::default()
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
        let target = json!([{"targets": [swap.metrics_address()], "labels": {"service": "swap", "environment": "development", "cluster": "local", "host": "localhost"}}]);
        fs::write(stack.folder().join("prometheus/scrape/services/swap.yml"), target.to_string()).unwrap();
        let service = service(ServiceOptions {
            name: "test_contract".into(),
            metrics: Some(metrics),
            otlp_endpoint: Some(stack.otlp_grpc_url()),
            database_url: Some(stack.database_url().unwrap()),
            ..ServiceOptions::default()
        });
        Self {
            service,
            swap,
            prometheus: Api::new(stack.prometheus_url()),
            jaeger: Api::new(stack.jaeger_url()),
            logs: Api::new(stack.url(Port::VictoriaLogs)),
            loki: has_loki().then(|| stack.url(Port::Loki)),
            _certificate: certificate,
            _stack: stack,
        }
    }

    /// Sends one request to each endpoint, with every kind of answer.
    fn send_requests(&self) {
        let url = |path: &str| format!("{}{path}", self.service.url());
        let wallet = |asset: &str| {
            let body = json!({"chain": "ethereum", "asset": asset, "opening_balance": 1_000_000});
            let (status, wallet) = post(&url("/api/v1/wallets"), &body);
            assert_eq!(status, 201, "{wallet}");
            wallet["id"].clone()
        };
        let (from, to, savings) = (wallet("ETH"), wallet("USDC"), wallet("ETH"));
        let send = json!({"from": from, "to": savings, "asset": "ETH", "amount": 10});
        let batch = json!({"wallets": [{"chain": "ethereum", "asset": "ETH"}]});
        let swap = json!({"from": from, "to": to, "amount": 10_000});
        let user = json!({"name": "Ada"});
        for (path, body) in [
            ("/api/v1/tx", &send),
            ("/api/v1/payments", &send),
            ("/api/v1/wallets/batch", &batch),
            ("/api/v1/swap", &swap),
            ("/api/v1/users", &user),
            ("/api/v1/swap", &json!({})),
        ] {
            let (status, answer) = post(&url(path), body);
            assert!(status < 500, "{path}: {status} {answer}");
        }
        let from = from.as_str().unwrap();
        for path in [
            "/api/v1/wallets",
            &format!("/api/v1/tx?wallet={from}"),
            "/api/v1/gas/estimate?chain=ethereum",
            "/api/v1/swap/quote?from=ETH&to=USDC&amount=1000",
            "/nowhere",
        ] {
            assert!(get(&url(path)).0 < 500, "{path}");
        }
        let swap = json!({"from": "ETH", "to": "USDC", "amount": 7});
        let (status, answer) = post(&format!("{}/swap", self.swap.url()), &swap);
        assert_eq!((status, &answer["received"]), (200, &json!(21_700)));
        // Loki counts a line that it refuses as too old; Jaeger counts queries.
        if let Some(loki) = &self.loki {
            let old =
                json!({"streams": [{"stream": {"service_name": "old"}, "values": [["1000000000000000000", "old"]]}]});
            assert_eq!(post(&format!("{loki}/loki/api/v1/push"), &old).0, 400);
        }
        self.jaeger.get("/api/services", &[]).unwrap();
        self.jaeger.get("/api/traces", &[("service", "ironcore")]).unwrap();
    }

    /// All names of metrics that have series now.
    fn names(&self) -> BTreeSet<String> {
        let names = self.prometheus.get("/api/v1/label/__name__/values", &[]);
        strings(&names.unwrap()["data"])
    }

    /// The names of the labels of a metric, over all of its series.
    fn labels(&self, metric: &str) -> BTreeSet<String> {
        let selector = format!("{{__name__=\"{metric}\"}}");
        let series = self.prometheus.get("/api/v1/series", &[("match[]", &selector)]).unwrap();
        series["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flat_map(|labels| labels.keys().cloned())
            .collect()
    }
}

/// `openssl s_server` with a self-signed certificate.
struct TlsServer {
    child: Child,
    address: String,
}

impl TlsServer {
    fn start(folder: &Path) -> Self {
        let (key, certificate) = (folder.join("tls.key"), folder.join("tls.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "7", "-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let address = free_address().unwrap().to_string();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &address, "-key"])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The labels that a metric must have, and the expressions that read it.
#[derive(Default)]
struct Read {
    labels: BTreeSet<String>,
    places: BTreeSet<String>,
}

/// The expressions of all rules that Prometheus has loaded.
fn rules(prometheus: &Api) -> Vec<Expression> {
    let answer = prometheus.get("/api/v1/rules", &[]).unwrap();
    let groups = answer["data"]["groups"].as_array().unwrap();
    let rules_of = |group: &Value| group["rules"].as_array().cloned().unwrap_or_default();
    groups
        .iter()
        .flat_map(rules_of)
        .map(|rule| Expression {
            place: format!("rule {}", rule["name"].as_str().unwrap()),
            text: rule["query"].as_str().unwrap().to_owned(),
        })
        .collect()
}

/// Adds the metrics and labels that an expression reads, as Prometheus parses it.
fn add_reads(prometheus: &Api, expression: &Expression, reads: &mut BTreeMap<String, Read>) {
    let tree = prometheus
        .get("/api/v1/parse_query", &[("query", &expression.text)])
        .unwrap_or_else(|error| panic!("{}: {error:#}\n{}", expression.place, expression.text));
    let mut selectors = Vec::new();
    collect_selectors(&tree["data"], &BTreeSet::new(), &mut selectors);
    for (metric, labels) in selectors {
        let read = reads.entry(metric).or_default();
        read.labels.extend(labels);
        read.places.insert(expression.place.clone());
    }
}

/// Collects the selectors below a node, each with the labels of its matchers, aggregations and joins.
fn collect_selectors(node: &Value, wanted: &BTreeSet<String>, found: &mut Vec<(String, BTreeSet<String>)>) {
    let mut below = wanted.clone();
    match node["type"].as_str() {
        Some("vectorSelector" | "matrixSelector") => {
            let matchers = node["matchers"].as_array().into_iter().flatten();
            // `!=` also matches series without the label.
            let positive = matchers.filter(|matcher| !matcher["type"].as_str().unwrap_or("").starts_with('!'));
            below.extend(positive.filter_map(|matcher| matcher["name"].as_str().map(ToOwned::to_owned)));
            found.push((node["name"].as_str().unwrap().to_owned(), below));
            return;
        }
        Some("aggregation") => {
            // Expressions above the aggregation only see its labels.
            below.clear();
            if node["without"] != true {
                below.extend(strings(&node["grouping"]));
            }
        }
        Some("call") => {
            let name = node["func"]["name"].as_str().unwrap_or_default();
            if matches!(name, "label_replace" | "label_join" | "absent" | "absent_over_time") {
                // These functions add labels.
                below.clear();
            }
        }
        Some("binaryExpr") => {
            let (left, right) = wanted_of_sides(node, wanted);
            collect_selectors(&node["lhs"], &left, found);
            collect_selectors(&node["rhs"], &right, found);
            return;
        }
        _ => {}
    }
    if !node["expr"].is_null() {
        collect_selectors(&node["expr"], &below, found);
    }
    for child in node["args"].as_array().into_iter().flatten() {
        collect_selectors(child, &below, found);
    }
}

/// The labels that each side of a binary operator must have, when those of its result are `wanted`.
fn wanted_of_sides(node: &Value, wanted: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let matching = &node["matching"];
    let mut matched = BTreeSet::new();
    if matching["on"] == true {
        matched.extend(strings(&matching["labels"]));
    }
    // Labels that `group_left` or `group_right` copies come from the side that has one series for many.
    let copied = strings(&matching["include"]);
    let whole: BTreeSet<_> = wanted.difference(&copied).chain(&matched).cloned().collect();
    let one: BTreeSet<_> = matched.union(&copied).cloned().collect();
    match (node["op"].as_str(), matching["card"].as_str()) {
        (Some("or"), _) => (wanted.clone(), wanted.clone()),
        // The result has the labels of the left side.
        (Some("and" | "unless"), _) | (_, Some("many-to-one")) => (whole, one),
        (_, Some("one-to-many")) => (one, whole),
        // One to one: both sides have the labels that are matched, and the result no others.
        _ if matching["on"] == true => (one.clone(), one),
        _ => (whole.clone(), whole),
    }
}

fn strings(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect()
}

/// The metric families of a metrics page, as `# TYPE` names them.
fn families(page: &str) -> BTreeSet<String> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(ToOwned::to_owned).collect()
}

/// The reads of all rules and dashboards, by metric.
fn reads(prometheus: &Api) -> BTreeMap<String, Read> {
    let mut reads = BTreeMap::new();
    for expression in rules(prometheus).iter().chain(&dashboards("prometheus")) {
        add_reads(prometheus, expression, &mut reads);
    }
    for (name, why) in WITHOUT_SERIES {
        assert!(reads.contains_key(name), "{name} ({why}) is no longer read");
    }
    reads.retain(|metric, _| !WITHOUT_SERIES.iter().any(|(name, _)| name == metric));
    if !has_loki() {
        reads.retain(|metric, _| !metric.starts_with("loki_") && !metric.contains(":loki_"));
    }
    assert!(reads.len() > 50, "only {} metrics are read", reads.len());
    reads
}

/// Waits until each has series while the service is used.
fn every_metric_has_series(everything: &Everything, reads: &BTreeMap<String, Read>) {
    let mut missing = Vec::new();
    let complete = wait_until(PATIENCE, POLL, "every metric", || {
        everything.send_requests();
        let names = everything.names();
        missing = reads.keys().filter(|metric| !names.contains(*metric)).collect();
        Ok::<_, stack::Error>(missing.is_empty().then_some(()))
    });
    let reports = missing.iter().map(|metric| format!("no series of {metric}, named by {:?}", reads[*metric].places));
    assert!(complete.is_ok(), "{}", reports.collect::<Vec<_>>().join("\n"));
}

fn every_label_is_there(everything: &Everything, reads: &BTreeMap<String, Read>) {
    let mut faults = Vec::new();
    for (metric, read) in reads {
        let mut labels = everything.labels(metric);
        labels.insert("__name__".into());
        let unknown: Vec<_> = read.labels.difference(&labels).collect();
        if !unknown.is_empty() {
            faults.push(format!(
                "{metric} has no label {unknown:?}, named by one of {:?}; it has {labels:?}",
                read.places
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The other direction: every metric of the library is read, or listed as not read.
fn every_metric_of_the_library_is_read(service: &Service, reads: &BTreeMap<String, Read>) {
    let page = Api::new(service.metrics_url()).text("").unwrap();
    for family in families(&page) {
        let is_of_family = |metric: &String| {
            metric.strip_prefix(&family).is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
        };
        let read = reads.keys().any(is_of_family);
        let listed = NOT_READ.iter().any(|(name, _)| *name == family);
        assert!(read != listed, "{family}: read by a rule or dashboard: {read}, listed as not read: {listed}");
    }
}

/// Jaeger queries Prometheus for the metrics of the collector: names, units and labels must match.
fn jaeger_knows_the_requests_per_second(everything: &Everything) {
    eventually_true("requests/s of the service in Jaeger", || {
        everything.send_requests();
        let parameters = [("service", "ironcore"), ("lookback", "60000"), ("ratePer", "10000"), ("step", "1000")];
        let answer = everything.jaeger.get("/api/metrics/calls", &parameters)?;
        let metrics = answer["metrics"].as_array();
        Ok(metrics.is_some_and(|metrics| !metrics.is_empty()))
    });
}

/// From a bucket in Prometheus to a trace in Jaeger and to its lines in `VictoriaLogs`.
fn an_exemplar_leads_to_a_trace_and_its_lines(everything: &Everything) {
    let now = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    eventually_true("a trace and its lines by an exemplar", || {
        everything.send_requests();
        let (start, end) = ((now() - 60).to_string(), now().to_string());
        let parameters = [
            ("query", "http_request_duration_seconds_bucket{route=\"/api/v1/swap\"}"),
            ("start", &start),
            ("end", &end),
        ];
        let answer = everything.prometheus.get("/api/v1/query_exemplars", &parameters)?;
        let Some(id) = answer["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str() else {
            return Ok(false);
        };
        let trace = everything.jaeger.get(&format!("/api/traces/{id}"), &[]);
        let query = format!("{{service.name=\"ironcore\"}} trace_id:=\"{id}\"");
        let lines = everything.logs.lines("/select/logsql/query", &[("query", &query)])?;
        Ok(trace.is_ok() && !lines.is_empty())
    });
}

#[test]
fn every_metric_and_label_of_rules_and_dashboards_has_series() {
    let everything = Everything::start();
    let reads = reads(&everything.prometheus);
    every_metric_has_series(&everything, &reads);
    every_label_is_there(&everything, &reads);
    every_metric_of_the_library_is_read(&everything.service, &reads);
    jaeger_knows_the_requests_per_second(&everything);
    an_exemplar_leads_to_a_trace_and_its_lines(&everything);
}
