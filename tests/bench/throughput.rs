//! Requests per second of a service under load with the HTTP layer, with other crates' layers, and bare: by `wrk` on
//! loopback, one request in a hundred sampled. `cargo bench --bench throughput`, here in `tests/bench`, prints the
//! table. It gates nothing: on a busy machine even the ratios mean little.
//!
//! Each service runs on one thread of a process of its own, so that the service is saturated and not the client. The
//! services take turns, round by round, and the medians are compared.

use axum::Router;
use ironcore_telemetry::{self as telemetry, Config, HttpTelemetryLayer, Sampling};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const ROUNDS: usize = 5;
/// Puts a layer around the routes of a service.
type Layered = fn(Router) -> Router;

const SERVICES: &[(&str, Layered)] = &[
    ("bare", |router| router),
    ("HttpTelemetryLayer", |router| router.layer(HttpTelemetryLayer::new())),
    ("opentelemetry-instrumentation-tower", |router| {
        router.layer(opentelemetry_instrumentation_tower::http::server::Layer::new())
    }),
    ("axum-tracing-opentelemetry", |router| {
        router.layer(axum_tracing_opentelemetry::middleware::OtelAxumLayer::default())
    }),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    if let (Some("--serve"), Some(name)) = (arguments.next().as_deref(), arguments.next()) {
        serve(&name);
    } else {
        compare();
    }
}

/// Serves on a free port until the process is killed; prints the address.
fn serve(name: &str) {
    let (_, layered) = SERVICES.iter().find(|(known, _)| *known == name).expect("a known service");
    let config = Config::new("bench")
        .endpoint("http://127.0.0.1:9")
        .metrics_listener(None)
        .log_filter("off")
        .trace_filter("info,otel::tracing=trace")
        .sampling(Sampling::Ratio(0.01));
    let _guard = (name != "bare").then(|| telemetry::init_with(config).expect("telemetry starts"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let router = Router::new().route("/wallets/{id}", axum::routing::get(async || "wallet"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, layered(router)).await.expect("it serves");
    });
}

fn compare() {
    let services: Vec<_> = SERVICES.iter().map(|(name, _)| start(name)).collect();
    let mut rates = vec![Vec::new(); services.len()];
    for _ in 0..ROUNDS {
        for ((_, address), rates) in services.iter().zip(&mut rates) {
            rates.push(requests_a_second(address));
        }
    }
    for (mut service, _) in services {
        service.kill().expect("it runs");
        service.wait().expect("it ends");
    }
    println!("{:<40}{:>12}{:>10}", "service", "requests/s", "of bare");
    let mut bare = None;
    for ((name, _), mut rates) in SERVICES.iter().zip(rates) {
        rates.sort_by(f64::total_cmp);
        let median = rates[ROUNDS / 2];
        let of_bare = median / *bare.get_or_insert(median);
        println!("{name:<40}{median:>12.0}{of_bare:>10.2}");
    }
}

fn start(name: &str) -> (Child, String) {
    let mut service = Command::new(std::env::current_exe().expect("this program"))
        .args(["--serve", name])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let stdout = service.stdout.take().expect("a pipe");
    let mut address = String::new();
    BufReader::new(stdout).read_line(&mut address).expect("a line with its address");
    (service, address.trim().to_owned())
}

fn requests_a_second(address: &str) -> f64 {
    let output = Command::new("wrk")
        .args(["-t1", "-c32", "-d3s"])
        .arg(format!("http://{address}/wallets/7"))
        .output()
        .expect("wrk (apt-get install wrk)");
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.unwrap_or_else(|| panic!("no rate in: {text}"))
}
