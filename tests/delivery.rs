//! The real Jaeger and the real collector are stopped, killed and started again while spans are on their way.

use ironcore_telemetry as telemetry;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stack::query::{Jaeger, wait_until};
use stack::{Options, Stack, System};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;
use support::{Child, PATIENCE, Report, in_child, start};

const POLL: Duration = Duration::from_millis(200);

#[telemetry::instrument_business]
fn create_wallet() -> String {
    Context::current().span().span_context().span_id().to_string()
}

/// A span with so many attributes of 8 KiB; returns its id.
fn large_span(attributes: usize) -> String {
    let mut span = opentelemetry::global::tracer("tests").start("large");
    for number in 0..attributes {
        span.set_attribute(KeyValue::new(format!("attribute.{number}"), "x".repeat(8 << 10)));
    }
    let id = span.span_context().span_id().to_string();
    span.end();
    id
}

/// In the child: does what the test says, line by line, until it hangs up; then shuts down.
fn service() -> Value {
    let guard = start();
    let control = TcpStream::connect(std::env::var("CONTROL").unwrap()).unwrap();
    let mut ids = Vec::new();
    for line in BufReader::new(&control).lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().unwrap();
        let before = ids.len();
        match words[..] {
            ["record", count, "every", micros] => {
                for _ in 0..number(count) {
                    ids.push(create_wallet());
                    std::thread::sleep(Duration::from_micros(number(micros)));
                }
            }
            ["record", count, "of", attributes] => {
                ids.extend((0..number(count)).map(|_| large_span(usize::try_from(number(attributes)).unwrap())));
            }
            _ => panic!("{line}"),
        }
        writeln!(&control, "{}", ids[before..].join(" ")).unwrap();
    }
    let report = guard.shutdown(PATIENCE);
    let too_large = report.signal("traces").map(|ledger| ledger.dropped("too_large"));
    json!({ "ids": ids, "complete": report.is_complete(), "report": report.to_string(), "too_large": too_large })
}

/// A service of this test that runs in a child.
struct Remote {
    control: BufReader<TcpStream>,
    child: JoinHandle<Report>,
}

impl Remote {
    fn start(child: Child, endpoint: &str, protocol: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let child = child
            .env("CONTROL", &listener.local_addr().unwrap().to_string())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")
            .env("OTEL_BSP_SCHEDULE_DELAY", "50");
        let child = std::thread::spawn(move || child.run());
        let control = BufReader::new(listener.accept().unwrap().0);
        Self { control, child }
    }

    fn begin(&mut self, command: &str) {
        writeln!(self.control.get_ref(), "{command}").unwrap();
    }

    /// Waits until the command is done; returns the ids of its spans.
    fn done(&mut self) -> BTreeSet<String> {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        line.split_whitespace().map(ToOwned::to_owned).collect()
    }

    fn run(&mut self, command: &str) -> BTreeSet<String> {
        self.begin(command);
        self.done()
    }

    /// The result of the service, and the ids of its spans.
    fn finish(self) -> (Value, BTreeSet<String>) {
        drop(self.control);
        let result = self.child.join().unwrap().result;
        let ids = result["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        (result, ids)
    }
}

fn signal(stack: &Stack, system: System, signal: Signal) {
    let (process, _) = stack.servers().find(|(process, _)| process.name() == system.name()).unwrap();
    let pid = Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits until Jaeger has all of these spans but so many.
fn wait_for(stack: &Stack, ids: &BTreeSet<String>, but: usize) {
    let jaeger = Jaeger::new(stack.jaeger_url());
    let mut missing = ids.len();
    let waited = wait_until(PATIENCE, POLL, "the spans in Jaeger", || {
        let traces = jaeger.traces("tests", 50_000)?;
        let arrived: BTreeSet<_> = traces.into_iter().flat_map(|trace| trace.spans).map(|span| span.span_id).collect();
        missing = ids.difference(&arrived).count();
        Ok::<_, stack::Error>((missing <= but).then_some(()))
    });
    waited.unwrap_or_else(|error| panic!("{error:#}: {missing} of {} are missing", ids.len()));
    assert_eq!(missing, but);
}

/// Everything has arrived, and the service knows it.
fn assert_complete(stack: &Stack, remote: Remote) {
    let (result, ids) = remote.finish();
    assert_eq!(result["complete"], true, "{}", result["report"]);
    wait_for(stack, &ids, 0);
}

fn protocols(stack: &Stack) -> [(&'static str, String); 2] {
    [("grpc", stack.otlp_grpc_url()), ("http/protobuf", stack.otlp_http_url())]
}

#[test]
fn jaeger_with_its_default_limits_takes_two_thousand_long_values() {
    let child = in_child!(service);
    let stack = Stack::start(&Options::free_ports("test_long_values").with(&[System::Jaeger])).unwrap();
    for (protocol, endpoint) in protocols(&stack) {
        let mut remote = Remote::start(child.clone(), &endpoint, protocol);
        remote.run("record 2000 of 1");
        assert_complete(&stack, remote);
    }
}

#[test]
fn a_span_that_jaeger_refuses_costs_no_other_one() {
    let child = in_child!(service).env("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1000");
    let stack = Stack::start(&Options::free_ports("test_too_large").with(&[System::Jaeger])).unwrap();
    let mut remote = Remote::start(child, &stack.otlp_grpc_url(), "grpc");
    remote.run("record 1000 every 0");
    remote.run("record 1 of 640");
    remote.run("record 999 every 0");
    let (result, ids) = remote.finish();
    assert_eq!((&result["too_large"], ids.len()), (&json!(1), 2_000), "{}", result["report"]);
    wait_for(&stack, &ids, 1);
}

#[test]
fn jaeger_is_stopped_and_started_in_traffic_and_nothing_is_missing() {
    let child = in_child!(service);
    let stack = Stack::start(&Options::free_ports("test_stopped").with(&[System::Jaeger])).unwrap();
    for (protocol, endpoint) in protocols(&stack) {
        let mut remote = Remote::start(child.clone(), &endpoint, protocol);
        remote.run("record 100 every 1000");
        remote.begin("record 4000 every 1000");
        signal(&stack, System::Jaeger, Signal::STOP);
        // Longer than a request waits for its answer.
        std::thread::sleep(Duration::from_secs(4));
        signal(&stack, System::Jaeger, Signal::CONT);
        remote.done();
        assert_complete(&stack, remote);
    }
}

#[test]
fn jaeger_is_killed_and_what_ends_while_it_is_down_arrives() {
    let child = in_child!(service);
    for protocol in ["grpc", "http/protobuf"] {
        let mut stack = Stack::start(&Options::free_ports("test_killed").with(&[System::Jaeger])).unwrap();
        let endpoint = if protocol == "grpc" { stack.otlp_grpc_url() } else { stack.otlp_http_url() };
        // Its memory is lost with it, so it is killed before anything has arrived.
        stack.kill(System::Jaeger).unwrap();
        let mut remote = Remote::start(child.clone(), &endpoint, protocol);
        remote.run("record 2000 every 1000");
        stack.restart(System::Jaeger).unwrap();
        remote.run("record 500 every 1000");
        assert_complete(&stack, remote);
    }
}

#[test]
fn the_collector_is_killed_stopped_and_restarted_and_nothing_is_missing() {
    let child = in_child!(service);
    let options = Options::free_ports("test_collector_restarts").with(&[System::Collector, System::Jaeger]);
    let mut stack = Stack::start(&options).unwrap();
    let mut remote = Remote::start(child, &stack.otlp_grpc_url(), "grpc");
    // The collector answers before it has stored: what it holds for its decisions dies with it, whoever sends.
    let before = remote.run("record 500 every 1000");
    wait_for(&stack, &before, 0);
    stack.kill(System::Collector).unwrap();
    remote.run("record 2000 every 1000");
    stack.restart(System::Collector).unwrap();
    remote.begin("record 4000 every 1000");
    signal(&stack, System::Collector, Signal::STOP);
    std::thread::sleep(Duration::from_secs(4));
    signal(&stack, System::Collector, Signal::CONT);
    remote.done();
    assert_complete(&stack, remote);
}
