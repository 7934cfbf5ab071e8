//! The demo itself: a service, some traffic, and one request as a trace, as metrics and as log lines.

use crate::alert;
use crate::backend::{Backend, Store};
use crate::client::Client;
use crate::mode::Mode;
use serde_json::{Value, json};
use stack::Result;
use stack::query::{Prometheus, wait_until};
use stack::service::{Service, ServiceOptions};
use stack::terminal::print_line;
use stack::trace::Trace;
use stack::{interrupt, run_folder};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// How long a span may take to reach Jaeger, or a sample to reach Prometheus.
const PATIENCE: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(200);

/// The request that is shown.
const ROUTE: &str = "/api/v1/swap";

/// The telemetry that was found for the request.
#[derive(Default)]
pub(crate) struct Findings {
    trace_id: String,
    trace: Option<Trace>,
    series: Vec<String>,
    lines: Vec<String>,
    /// The number of messages for the alert; `None` if the demo does not run an Alertmanager.
    alerts: Option<usize>,
}

impl Findings {
    fn spans(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.spans.len())
    }

    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.spans() > 0
            && !self.series.is_empty()
            && !self.lines.is_empty()
            && self.alerts.is_none_or(|alerts| alerts > 0)
    }

    /// One JSON object for scripts.
    pub(crate) fn summary(&self, mode: Mode) -> Value {
        let mut summary = json!({
            "trace_id": self.trace_id,
            "mode": mode.to_string(),
            "jaeger_spans": self.spans(),
            "prometheus_series": self.series.len(),
            "log_lines": self.lines.len(),
        });
        if let Some(alerts) = self.alerts {
            summary["alert_messages"] = alerts.into();
        }
        summary
    }
}

/// Builds the wallet service; it uses an in-memory database.
pub(crate) fn service_options(backend: &Backend) -> Result<ServiceOptions> {
    eprintln!("building the wallet service (the first time takes a minute or two)");
    let program = Service::build()?;
    Ok(ServiceOptions {
        name: run_folder::name("demo"),
        otlp_endpoint: Some(backend.otlp.clone()),
        metrics: Some(backend.metrics),
        program: Some(program),
        ..ServiceOptions::default()
    })
}

/// Shows an alert, if the demo runs an Alertmanager. Returns the service after the repair.
pub(crate) fn alert(
    service: Service,
    options: &ServiceOptions,
    backend: &Backend,
    findings: &mut Findings,
) -> Result<Service> {
    let Some(inbox) = backend.inbox() else {
        return Ok(service);
    };
    findings.alerts = Some(0);
    // On the same address, so that the printed links stay valid.
    let options = ServiceOptions { listen: Some(service.address()), ..options.clone() };
    let (service, messages) = alert::show(service, &options, inbox)?;
    findings.alerts = Some(messages);
    Ok(service)
}

/// Sends a request to every endpoint, including one that is refused, and finally the swap that is shown. Returns the
/// time of the swap in seconds since 1970.
pub(crate) fn drive(service: &Service) -> Result<f64> {
    eprintln!("sending requests");
    let client = Client::new(service.url());
    let wallet = |asset: &str, balance: u64| json!({"chain": "ethereum", "asset": asset, "opening_balance": balance});
    let eth = client.post("/api/v1/wallets", &wallet("ETH", 5_000_000))?;
    let usdc = client.post("/api/v1/wallets", &wallet("USDC", 0))?;
    for path in
        ["/api/v1/wallets", "/api/v1/gas/estimate?chain=ethereum", "/api/v1/swap/quote?from=ETH&to=USDC&amount=1000"]
    {
        client.get(path)?;
    }
    let savings = client.post("/api/v1/wallets", &wallet("ETH", 0))?;
    // More than the balance: an expected refusal, not a failure of the service.
    let too_much = json!({"from": eth["id"], "to": savings["id"], "asset": "ETH", "amount": 1_000_000_000});
    client.post_refused("/api/v1/tx", &too_much)?;
    client.get(&format!("/api/v1/tx?wallet={}", eth["id"].as_str().unwrap_or_default()))?;
    client.post(ROUTE, &json!({"from": eth["id"], "to": usdc["id"], "amount": 1_000_000}))?;
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}

/// Waits for the trace, the metrics and the log lines of the request and prints them, or where to look for missing
/// ones.
pub(crate) fn show(service: &Service, backend: &Backend, swapped: f64, findings: &mut Findings) -> Result<()> {
    eprintln!("waiting for the last request in the log, in the traces and in the metrics");
    let mut missing = Vec::new();
    let access = wait_until(PATIENCE, POLL, "the access line of the swap", || {
        Ok::<_, Infallible>(access_line(&service.log_lines()))
    });
    match access {
        Ok(id) => {
            let lines = service.log_lines().into_iter();
            findings.lines = lines.filter(|line| line.contains(&id)).collect();
            let trace = wait_until(PATIENCE, POLL, format!("the trace {id}"), || {
                // The server span ends last: with it the trace is complete.
                let complete = |trace: &Trace| trace.span(&format!("POST {ROUTE}")).is_some();
                Ok::<_, stack::Error>(backend.trace(&id)?.filter(complete))
            });
            match trace {
                Ok(trace) => findings.trace = Some(trace),
                Err(error) => missing.push(format!(
                    "{error}; the service sends to OTEL_EXPORTER_OTLP_ENDPOINT={}, queried: {}",
                    backend.otlp,
                    trace_store(backend)
                )),
            }
            findings.trace_id = id;
        }
        Err(error) => missing.push(format!(
            "{error}; {} has no line of the target http_access (RUST_LOG of the service), so the trace id is unknown as well",
            service.log_file().display()
        )),
    }
    let found = wait_until(PATIENCE, POLL, "the metrics of the swap", || {
        let lines = series(service, backend, swapped)?;
        let complete = lines.iter().any(|line| line.contains(ROUTE));
        Ok::<_, stack::Error>(complete.then_some(lines))
    });
    match found {
        Ok(found) => findings.series = found,
        Err(error) => missing.push(format!(
            "{error}; the service serves {} (OTEL_EXPORTER_PROMETHEUS_PORT={}), queried: {}",
            service.metrics_url(),
            service.metrics_address().port(),
            metric_store(backend)
        )),
    }
    interrupt::check()?;
    if let Some(trace) = &findings.trace {
        let from = trace_store(backend);
        print_line(format!("\n── the trace, from {from}\n{}", trace.tree()))?;
    }
    if !findings.series.is_empty() {
        print_line(format!("── the metrics, from {}", metric_store(backend)))?;
        print_line(findings.series.join("\n"))?;
    }
    if !findings.lines.is_empty() {
        print_line(format!("\n── the log lines with trace_id {}", findings.trace_id))?;
        print_line(findings.lines.join("\n"))?;
    }
    for missing in missing {
        print_line(format!("\n── missing: {missing}"))?;
    }
    Ok(())
}

fn trace_store(backend: &Backend) -> String {
    match &backend.store {
        Store::Servers { jaeger, .. } => format!("Jaeger's API, {jaeger}"),
        Store::Receiver(_) => "the receiver in this process".to_owned(),
    }
}

fn metric_store(backend: &Backend) -> String {
    match &backend.store {
        Store::Servers { prometheus, .. } => format!("Prometheus' API, {prometheus}"),
        Store::Receiver(_) => "the service's /metrics".to_owned(),
    }
}

/// Prints the addresses to open.
pub(crate) fn links(service: &Service, backend: &Backend, findings: &Findings) -> io::Result<()> {
    print_line("\n── to open")?;
    print_line(format!("wallet service  {}/api/v1/wallets", service.url()))?;
    print_line(format!("its metrics     {}", service.metrics_url()))?;
    print_line(format!("its log         {}", service.log_file().display()))?;
    let Store::Servers { jaeger, prometheus, page } = &backend.store else {
        return Ok(());
    };
    let id = &findings.trace_id;
    if *page {
        print_line(format!("trace (page)    {jaeger}/trace/{id}   (images only: native builds have no web pages)"))?;
    }
    print_line(format!("trace (JSON)    {jaeger}/api/traces/{id}"))?;
    print_line(format!("metrics (JSON)  {prometheus}/api/v1/query?query=http_requests_total"))
}

/// The trace id of the swap's access line.
fn access_line(lines: &[String]) -> Option<String> {
    let parsed = lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut access = parsed.filter(|line| line["target"] == "http_access" && line["route"] == ROUTE);
    access.next()?["trace_id"].as_str().map(ToOwned::to_owned)
}

/// The metrics of the request, one series per line.
fn series(service: &Service, backend: &Backend, swapped: f64) -> Result<Vec<String>> {
    match &backend.store {
        Store::Servers { prometheus, .. } => {
            let query = query(service.metrics_address(), swapped);
            let samples = Prometheus::new(prometheus.as_str()).instant(&query)?;
            Ok(samples.iter().map(ToString::to_string).collect())
        }
        Store::Receiver(_) => {
            let page = Client::new(service.metrics_url()).text("")?;
            let shown = |line: &&str| {
                line.contains(ROUTE) && line.starts_with("http_requests_total")
                    || line.starts_with("business_operations_total{domain=\"swap\"") && !line.ends_with(" 0")
            };
            Ok(page.lines().filter(shown).map(ToOwned::to_owned).collect())
        }
    }
}

/// The query for the metrics of the request, from this service and scraped after the request: a Prometheus that already
/// ran may still have samples of an earlier run on the same port.
fn query(instance: SocketAddr, since: f64) -> String {
    let target = format!(r#"job="ironcore",instance="{instance}""#);
    let requests = format!(r#"http_requests_total{{{target},route="{ROUTE}"}}"#);
    let operations = format!(r#"business_operations_total{{{target},domain=~"swap|transaction"}}"#);
    // `timestamp` of a selector is the time of the sample; of any other expression it is the current time.
    format!(
        "({requests} and timestamp({requests}) >= {since:.3}) or ({operations} > 0 and timestamp({operations}) >= {since:.3})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_summary_has_all_keys_and_is_not_complete() {
        let findings = Findings::default();
        assert!(!findings.is_complete());
        assert_eq!(
            findings.summary(Mode::Embedded),
            json!({"trace_id": "", "mode": "embedded", "jaeger_spans": 0, "prometheus_series": 0, "log_lines": 0})
        );
    }

    #[test]
    fn the_query_selects_this_service_and_this_run() {
        let query = query(([127, 0, 0, 1], 9464).into(), 12.5);
        for part in query.split(" or ") {
            assert!(part.contains(r#"job="ironcore",instance="127.0.0.1:9464""#));
            assert!(part.contains(">= 12.500"), "{part}");
        }
    }
}
