//! The real collector between the service and Jaeger: secrets are removed, important traces are kept, and kept traces
//! arrive even if the collector or Jaeger crashes.

mod support;

use rustix::process::Signal;
use serde_json::json;
use stack::addresses::Addresses;
use stack::native::Program;
use stack::process::{self, Output, Process};
use stack::query::{Api, Jaeger};
use stack::service::{Service, ServiceOptions};
use stack::{Options, Port, Stack, System, collector_variables, jaeger_variables, paths};
use std::collections::BTreeSet;
use std::fs;
use support::{RawSpan, eventually, eventually_true, get, new_trace, post, send, service};

const SYSTEMS: [System; 2] = [System::Collector, System::Jaeger];

/// The collector in front of Jaeger. It keeps only traces that a sampling policy selects.
fn stack(name: &str) -> Stack {
    let options = Options {
        collector: vec![("COLLECTOR_SAMPLE_PERCENT".into(), "0".into())],
        ..Options::free_ports(name).with(&SYSTEMS)
    };
    Stack::start(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

fn sum(page: &str, metric: &str) -> f64 {
    page.lines()
        .filter(|line| line.starts_with(metric))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn wallet(service: &Service, asset: &str) -> serde_json::Value {
    let body = json!({"chain": "ethereum", "asset": asset, "opening_balance": 1_000_000});
    post(&format!("{}/api/v1/wallets", service.url()), &body).1["id"].clone()
}

#[test]
fn secrets_in_spans_of_other_libraries_are_removed() {
    const CANARY: &str = "canary-3f9a71";
    let stack = stack("test_redaction");
    let mut span = RawSpan::new(new_trace(), "POST /api/v1/swap")
        .with("http.request.method", "POST")
        .with("http.route", "/api/v1/swap");
    for key in [
        "mnemonic",
        "wallet.private_key",
        "http.request.header.authorization",
        "db.password",
        "api_key",
        "session.token",
        "something.of.my.own",
    ] {
        span = span.with(key, CANARY);
    }
    span.failed = true;
    send(&stack.otlp_http_url(), std::slice::from_ref(&span));

    let jaeger = Jaeger::new(stack.jaeger_url());
    let trace = eventually("the span in Jaeger", || jaeger.trace(&span.id()));
    let seen = format!("{trace:?}");
    assert!(!seen.contains(CANARY), "{seen}");
    assert!(seen.contains("/api/v1/swap"), "{seen}");
    let page = Api::new(stack.url(Port::CollectorSpanMetrics)).text("/metrics");
    assert!(!page.unwrap().contains(CANARY));
}

#[test]
fn errors_slow_requests_and_money_movements_are_kept_and_the_rest_is_sampled() {
    let stack = stack("test_sampling");
    let request = |method: &str, route: &str| {
        RawSpan::new(new_trace(), &format!("{method} {route}"))
            .with("http.request.method", method)
            .with("http.route", route)
            .with("http.response.status_code", "200")
    };
    let mut error = request("GET", "/api/v1/wallets");
    error.failed = true;
    let mut slow = request("GET", "/api/v1/wallets");
    slow.millis = 900;
    let kept = [
        error,
        slow,
        request("POST", "/api/v1/wallets/batch"),
        request("POST", "/api/v1/swap"),
        request("POST", "/api/v1/tx"),
    ];
    let probe = "grpc.health.v1.Health/Check";
    let dropped = [
        request("GET", "/api/v1/wallets"),
        request("GET", "/health"),
        RawSpan::new(new_trace(), probe).with("rpc.method", probe),
    ];
    for span in dropped.iter().chain(&kept) {
        send(&stack.otlp_http_url(), std::slice::from_ref(span));
    }
    let jaeger = Jaeger::new(stack.jaeger_url());
    for span in &kept {
        eventually(&format!("{} in Jaeger", span.name), || jaeger.trace(&span.id()));
    }
    // The dropped ones were sent, and decided on, before the ones that have arrived.
    for span in &dropped {
        assert!(jaeger.trace(&span.id()).unwrap().is_none(), "{}", span.name);
    }
    // Span metrics count all of them except the probes, as they are derived before sampling.
    let page = Api::new(stack.url(Port::CollectorSpanMetrics));
    eventually_true("the counts of all spans", || {
        let page = page.text("/metrics")?;
        let calls = sum(&page, "traces_span_metrics_calls_total");
        Ok((calls - 6.0).abs() < f64::EPSILON)
    });
}

#[test]
fn kept_traces_survive_crashes_of_jaeger_and_the_collector() {
    let mut stack = stack("test_queue");
    let service = service(ServiceOptions {
        name: "test_queue".into(),
        otlp_endpoint: Some(stack.otlp_grpc_url()),
        env: vec![("CHAIN_LATENCY_SCALE".into(), "0".into())],
        ..ServiceOptions::default()
    });
    let (from, to) = (wallet(&service, "ETH"), wallet(&service, "USDC"));
    let swap = |count: usize| {
        for _ in 0..count {
            let body = json!({"from": from, "to": to, "amount": 10});
            assert_eq!(post(&format!("{}/api/v1/swap", service.url()), &body).0, 201);
        }
    };
    // Jaeger is down: the traces that the collector keeps wait in its disk queue.
    stack.kill(System::Jaeger).unwrap();
    swap(40);
    let own = Api::new(stack.url(Port::CollectorMetrics));
    eventually_true("40 decisions, waiting for Jaeger", || {
        let page = own.text("/metrics")?;
        let decided = page
            .lines()
            .filter(|line| line.contains("sampling_traces_sampled") || line.contains("global_count_traces_sampled"))
            .filter(|line| line.contains("decision=\"sampled\"") || line.contains("sampled=\"true\""))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>();
        Ok(decided >= 40.0 && sum(&page, "otelcol_exporter_queue_size") > 0.0)
    });
    // The collector is down, too: the spans of the service wait in the queue of the service.
    stack.kill(System::Collector).unwrap();
    swap(10);
    stack.restart(System::Collector).unwrap();
    stack.restart(System::Jaeger).unwrap();
    swap(10);

    let swaps: BTreeSet<String> = service
        .log_lines()
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["target"] == "http_access" && line["route"] == "/api/v1/swap")
        .map(|line| line["trace_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(swaps.len(), 60);
    let jaeger = Jaeger::new(stack.jaeger_url());
    let mut missing = swaps;
    eventually_true("all 60 traces in Jaeger", || {
        let mut still = BTreeSet::new();
        for id in &missing {
            let trace = jaeger.trace(id)?;
            if trace.is_none_or(|trace| trace.span("POST /api/v1/swap").is_none()) {
                still.insert(id.clone());
            }
        }
        missing = still;
        Ok(missing.is_empty())
    });
    let page = Api::new(service.metrics_url()).text("").unwrap();
    let lost = sum(&page, "telemetry_dropped_total");
    assert!(lost.abs() < f64::EPSILON, "{page}");
}

/// A collector that is not part of the stack: an agent or one of several gateways.
fn collector(name: &str, layers: &[&str], addresses: &Addresses, more: &[(&str, String)]) -> Process {
    let folder = paths::run_dir("test_scale_out").join(name);
    fs::create_dir_all(&folder).unwrap();
    let mut command = process::command(&Program::Collector.path().unwrap(), Signal::TERM);
    process::clean_environment(&mut command);
    for layer in layers {
        let file = paths::config_dir().join(format!("collector/{layer}.yaml"));
        command.arg(process::argument("--config=", &file));
    }
    command
        .envs(collector_variables(addresses))
        .env("COLLECTOR_STORAGE", folder.join("storage"))
        .env("COLLECTOR_DECISION_WAIT", "1s")
        .env("COLLECTOR_SAMPLE_PERCENT", "100")
        .envs(more.iter().map(|(name, value)| (name, value)));
    let log = folder.join("collector.log");
    let mut process = Process::spawn(name, command, &log, Output::Logged).unwrap();
    let health = format!("http://{}", addresses.address(Port::CollectorHealth));
    eventually(&format!("{name} to be healthy"), || {
        process.check().unwrap_or_else(|error| panic!("{error:#}"));
        let up = std::net::TcpStream::connect(addresses.address(Port::CollectorHealth)).is_ok();
        Ok::<_, stack::Error>((up && get(&health).0 == 200).then_some(()))
    });
    process
}

/// A Jaeger that stores its traces on disk.
fn durable_jaeger(addresses: &Addresses) -> Process {
    let folder = paths::run_dir("test_durable_jaeger");
    let config = paths::config_dir().join("jaeger/badger.yaml");
    let mut command = process::command(&Program::Jaeger.path().unwrap(), Signal::TERM);
    process::clean_environment(&mut command);
    command
        .arg(process::argument("--config=", &config))
        .envs(jaeger_variables(addresses))
        .env("JAEGER_DATA", folder.join("data"));
    let log = folder.join("jaeger.log");
    let mut process = Process::spawn("jaeger", command, &log, Output::Logged).unwrap();
    let services = Jaeger::new(format!("http://{}", addresses.address(Port::JaegerQuery)));
    eventually("the durable Jaeger", || {
        process.check().unwrap_or_else(|error| panic!("{error:#}"));
        services.services().map(Some)
    });
    process
}

#[test]
fn a_trace_on_disk_survives_a_crash_of_jaeger() {
    let _ = fs::remove_dir_all(paths::run_dir("test_durable_jaeger"));
    let addresses = Addresses::free().unwrap();
    let mut first = durable_jaeger(&addresses);
    let span = RawSpan::new(new_trace(), "GET /api/v1/wallets");
    let endpoint = format!("http://{}", addresses.address(Port::OtlpHttp));
    send(&endpoint, std::slice::from_ref(&span));
    first.kill().unwrap();

    let _second = durable_jaeger(&addresses);
    let jaeger = Jaeger::new(format!("http://{}", addresses.address(Port::JaegerQuery)));
    eventually("the trace after the crash", || jaeger.trace(&span.id()));
}

#[test]
fn all_spans_of_a_trace_reach_the_same_gateway() {
    const TRACES: usize = 60;
    let jaegers: Vec<Stack> = ["test_gateway_one", "test_gateway_two"]
        .map(|name| Stack::start(&Options::free_ports(name).with(&[System::Jaeger])).unwrap())
        .into();
    let addresses: Vec<Addresses> = (0..3).map(|_| Addresses::free().unwrap()).collect();
    let _gateways: Vec<Process> = jaegers
        .iter()
        .zip(&addresses)
        .enumerate()
        .map(|(index, (jaeger, addresses))| {
            let to = jaeger.address(Port::OtlpGrpc).to_string();
            collector(&format!("gateway{index}"), &["base", "backends"], addresses, &[("JAEGER_OTLP_GRPC", to)])
        })
        .collect();
    let gateway = |index: usize| addresses[index].address(Port::OtlpGrpc).to_string();
    let _agent = collector(
        "agent",
        &["agent"],
        &addresses[2],
        &[("COLLECTOR_GATEWAY_1", gateway(0)), ("COLLECTOR_GATEWAY_2", gateway(1))],
    );

    let endpoint = format!("http://{}", addresses[2].address(Port::OtlpHttp));
    let spans: Vec<RawSpan> = (0..TRACES).map(|_| RawSpan::new(new_trace(), "GET /api/v1/wallets")).collect();
    // Three spans of each trace, each in another request.
    for _ in 0..3 {
        for some in spans.chunks(7) {
            send(&endpoint, some);
        }
    }
    let clients: Vec<Jaeger> = jaegers.iter().map(|jaeger| Jaeger::new(jaeger.jaeger_url())).collect();
    let count = |client: &Jaeger, span: &RawSpan| {
        Ok::<_, stack::Error>(client.trace(&span.id())?.map_or(0, |trace| trace.spans.len()))
    };
    let mut each = [0, 0];
    for span in &spans {
        let found = eventually(&format!("three spans of {}", span.id()), || {
            let found = [count(&clients[0], span)?, count(&clients[1], span)?];
            Ok::<_, stack::Error>((found[0] + found[1] == 3).then_some(found))
        });
        assert!(found.contains(&3), "spread over both gateways: {found:?}");
        each[usize::from(found[1] == 3)] += 1;
    }
    assert!(each.iter().all(|traces| *traces > TRACES / 6), "{each:?}");
}
