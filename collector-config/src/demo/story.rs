//! The story: a service, some traffic, and one request seen from three sides.

use crate::backend::{Backend, RUN, Store};
use crate::mode::Mode;
use serde_json::{Value, json};
use stack::query::{Prometheus, wait_until};
use stack::service::{Service, ServiceOptions};
use stack::trace::Trace;
use std::error::Error;
use std::time::Duration;

/// How long a span may take to Jaeger or a sample to Prometheus.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// The request that is shown.
const ROUTE: &str = "/api/v1/swap";

/// Prometheus' view of the request.
const SERIES: &str = r#"http_requests_total{route="/api/v1/swap"} or business_operations_total{domain=~"swap|transaction"} > 0"#;

/// What was found of the request.
pub(crate) struct Seen {
    trace: Trace,
    series: Vec<String>,
    lines: Vec<String>,
}

impl Seen {
    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        !self.trace.spans.is_empty() && !self.series.is_empty() && !self.lines.is_empty()
    }

    /// One JSON object for scripts.
    pub(crate) fn summary(&self, mode: Mode) -> Value {
        json!({
            "trace_id": self.trace.trace_id,
            "mode": mode.to_string(),
            "jaeger_spans": self.trace.spans.len(),
            "prometheus_series": self.series.len(),
            "log_lines": self.lines.len(),
        })
    }
}

/// Builds and starts the wallet service on a database in memory.
pub(crate) fn start_service(backend: &Backend) -> Result<Service, Box<dyn Error>> {
    eprintln!("building the wallet service (the first time takes a minute or two)");
    let program = Service::build()?;
    eprintln!("starting the wallet service");
    let options = ServiceOptions {
        name: RUN.to_owned(),
        otlp_endpoint: Some(backend.otlp.clone()),
        metrics: Some(backend.metrics),
        program: Some(program),
        ..ServiceOptions::default()
    };
    Ok(Service::start(&options)?)
}

/// Some traffic: every endpoint, a refusal among it, and as the last request the swap that is shown.
pub(crate) fn drive(service: &Service) -> Result<(), Box<dyn Error>> {
    eprintln!("driving traffic");
    let client = Client::new(service);
    let wallet = |asset: &str, balance: u64| json!({"chain": "ethereum", "asset": asset, "opening_balance": balance});
    let eth = client.post("/api/v1/wallets", &wallet("ETH", 5_000_000))?;
    let usdc = client.post("/api/v1/wallets", &wallet("USDC", 0))?;
    for path in [
        "/api/v1/wallets",
        "/api/v1/gas/estimate?chain=ethereum",
        "/api/v1/swap/quote?from=ETH&to=USDC&amount=1000",
    ] {
        client.get(path)?;
    }
    let savings = client.post("/api/v1/wallets", &wallet("ETH", 0))?;
    // More than there is: an expected refusal, not a failure of the service.
    let too_much =
        json!({"from": eth["id"], "to": savings["id"], "asset": "ETH", "amount": 1_000_000_000});
    client.post_refused("/api/v1/tx", &too_much)?;
    client.get(&format!(
        "/api/v1/tx?wallet={}",
        eth["id"].as_str().unwrap_or_default()
    ))?;
    client.post(
        ROUTE,
        &json!({"from": eth["id"], "to": usdc["id"], "amount": 1_000_000}),
    )?;
    Ok(())
}

/// Waits for the request on all three sides and prints them.
pub(crate) fn show(service: &Service, backend: &mut Backend) -> Result<Seen, Box<dyn Error>> {
    eprintln!("waiting for the last request in the log, in the traces and in the metrics");
    let trace_id = wait_until(PATIENCE, POLL, "the access line of the swap", || {
        Ok::<_, std::convert::Infallible>(access_line(&service.log_lines()))
    })?;
    let lines: Vec<_> = service
        .log_lines()
        .into_iter()
        .filter(|line| line.contains(&trace_id))
        .collect();
    let trace = wait_until(PATIENCE, POLL, format!("the trace {trace_id}"), || {
        let trace = backend.trace(&trace_id)?;
        // The server span ends last: with it the trace is whole.
        Ok::<_, Box<dyn Error>>(
            trace.filter(|trace| trace.span(&format!("POST {ROUTE}")).is_some()),
        )
    })?;
    let series = wait_until(PATIENCE, POLL, "the metrics of the swap", || {
        series(service, backend)
            .map(|series| series.filter(|lines| lines.iter().any(|line| line.contains(ROUTE))))
    })?;
    let (traces_from, metrics_from) = match backend.store {
        Store::Servers { .. } => ("Jaeger's API", "Prometheus' API"),
        Store::Receiver(_) => ("the receiver in this process", "the service's /metrics"),
    };
    println!("\n── the trace, from {traces_from}\n{}", trace.tree());
    println!("── the metrics, from {metrics_from}");
    println!("{}", series.join("\n"));
    println!("\n── the log lines with trace_id {trace_id}");
    println!("{}", lines.join("\n"));
    Ok(Seen {
        trace,
        series,
        lines,
    })
}

/// What to open.
pub(crate) fn links(service: &Service, backend: &Backend, seen: &Seen) {
    println!("\n── to open");
    println!("wallet service  {}/api/v1/wallets", service.url());
    println!("its metrics     {}", service.metrics_url());
    println!("its log         {}", service.log_file().display());
    if let Store::Servers { jaeger, prometheus } = &backend.store {
        println!(
            "trace (page)    {jaeger}/trace/{}   (images only: native builds have no web pages)",
            seen.trace.trace_id
        );
        println!(
            "trace (JSON)    {jaeger}/api/traces/{}",
            seen.trace.trace_id
        );
        println!("metrics (JSON)  {prometheus}/api/v1/query?query=http_requests_total");
    }
}

/// The trace id of the swap's access line.
fn access_line(lines: &[String]) -> Option<String> {
    let parsed = lines
        .iter()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut access =
        parsed.filter(|line| line["target"] == "http_access" && line["route"] == ROUTE);
    access.next()?["trace_id"].as_str().map(ToOwned::to_owned)
}

/// The series of the request, as lines.
fn series(service: &Service, backend: &Backend) -> Result<Option<Vec<String>>, Box<dyn Error>> {
    let lines: Vec<String> = match &backend.store {
        Store::Servers { prometheus, .. } => {
            let samples = Prometheus::new(prometheus.as_str()).instant(SERIES)?;
            samples.iter().map(ToString::to_string).collect()
        }
        Store::Receiver(_) => {
            let page = ureq::get(service.metrics_url())
                .call()?
                .body_mut()
                .read_to_string()?;
            let shown = |line: &&str| {
                line.contains(ROUTE) && line.starts_with("http_requests_total")
                    || line.starts_with("business_operations_total{domain=\"swap\"")
                        && !line.ends_with(" 0")
            };
            page.lines().filter(shown).map(ToOwned::to_owned).collect()
        }
    };
    Ok((!lines.is_empty()).then_some(lines))
}

/// A client of the service.
struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    fn new(service: &Service) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false);
        Self {
            agent: config.build().into(),
            base: service.url(),
        }
    }

    fn get(&self, path: &str) -> Result<Value, Box<dyn Error>> {
        let response = self.agent.get(format!("{}{path}", self.base)).call()?;
        Self::answer(path, response, true)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let response = self
            .agent
            .post(format!("{}{path}", self.base))
            .send_json(body)?;
        Self::answer(path, response, true)
    }

    fn post_refused(&self, path: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let response = self
            .agent
            .post(format!("{}{path}", self.base))
            .send_json(body)?;
        Self::answer(path, response, false)
    }

    fn answer(
        path: &str,
        mut response: ureq::http::Response<ureq::Body>,
        success: bool,
    ) -> Result<Value, Box<dyn Error>> {
        let status = response.status();
        let body: Value = response.body_mut().read_json()?;
        if status.is_success() == success {
            Ok(body)
        } else {
            Err(format!("{path} answered {status}: {body}").into())
        }
    }
}
