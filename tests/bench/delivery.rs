//! Spans from their end to the collector, beside the SDK's own pipeline (`SdkTracerProvider`, `BatchSpanProcessor`,
//! `opentelemetry-otlp` over gRPC) with the same seven attributes: CPU time of the process for each delivered span, and
//! spans a second without loss. `cargo bench --bench delivery`, here in `tests/bench`, prints the table and fails when
//! ours costs more than half, or is less than one and a half times as fast.
//!
//! The receiver is a process of its own. The services take turns, and the medians of their ratios are compared: both
//! sides of a ratio are measured within seconds of each other.

use ironcore_telemetry::{self as telemetry, Config};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::FaultCollector;

const ROUNDS: usize = 5;
/// Spans that end before they are waited for: fewer than the queue holds, so that none is lost.
const BURST: usize = 20_000;
const BURSTS: usize = 25;
const QUEUE: usize = 65_536;
const LIMIT: Duration = Duration::from_mins(1);
/// The kernel's clock ticks a second, as `/proc` counts CPU time on Linux.
const TICKS: f64 = 100.0;

/// At most this part of the SDK's CPU time.
const CPU: f64 = 0.5;
/// At least so many times its rate.
const RATE: f64 = 1.5;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--receive"] => receive(),
        ["--serve", "ours", endpoint] => serve(ours(endpoint)),
        ["--serve", "sdk", endpoint] => serve(sdk(endpoint)),
        _ => compare(),
    }
}

/// Prints its address, then, once its stdin is closed, the number of spans that it has.
fn receive() {
    let collector = FaultCollector::start();
    println!("{}", collector.url());
    std::io::stdin().read_to_end(&mut Vec::new()).expect("it ends");
    println!("{}", collector.distinct());
}

/// Ends a burst of spans and delivers it, each time that it is called.
type Service = Box<dyn FnMut()>;

fn ours(endpoint: &str) -> Service {
    let config = Config::new("bench").endpoint(endpoint).metrics_listener(None).log_filter("off");
    let guard = telemetry::init_with(config).expect("telemetry starts");
    Box::new(move || {
        for number in 0..BURST {
            let _ = transfer("ethereum", "USDC", black_box(number));
        }
        let report = guard.flush(LIMIT);
        assert!(report.is_complete(), "{report}");
    })
}

#[telemetry::instrument_business(transaction, fields(chain = chain, asset = asset, amount = amount))]
fn transfer(chain: &'static str, asset: &'static str, amount: usize) -> Result<usize, String> {
    if amount == usize::MAX { Err("too much".to_owned()) } else { Ok(amount) }
}

fn sdk(endpoint: &str) -> Service {
    // Its exporter is built in a runtime, and needs it for as long as it lives.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let exporter = runtime.block_on(async {
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().expect("an exporter")
    });
    let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let tracer = provider.tracer("bench");
    Box::new(move || {
        let _runtime = runtime.enter();
        for number in 0..BURST {
            let attributes = vec![
                KeyValue::new("ironcore.domain", "transaction"),
                KeyValue::new("ironcore.operation", "transfer"),
                KeyValue::new("code.function.name", "delivery::transfer"),
                KeyValue::new("chain", "ethereum"),
                KeyValue::new("asset", "USDC"),
                KeyValue::new("amount", i64::try_from(black_box(number)).expect("a small number")),
            ];
            let builder = tracer.span_builder("transaction.transfer").with_kind(SpanKind::Internal);
            let mut span = builder.with_attributes(attributes).start(&tracer);
            span.set_attribute(KeyValue::new("ironcore.outcome", "ok"));
            span.end();
        }
        provider.force_flush().expect("a flush");
    })
}

/// Prints the CPU time of the process for each span, in microseconds, and the spans a second.
fn serve(mut service: Service) {
    // The connection, the first allocations.
    service();
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    for _ in 0..BURSTS {
        service();
    }
    let spans = (BURST * BURSTS) as f64;
    println!("{} {}", (cpu_seconds() - cpu) / spans * 1e6, spans / begin.elapsed().as_secs_f64());
    // The end of the process takes the service with it, without a shutdown of the SDK that could hang.
    std::process::exit(0);
}

/// User and system time of all threads so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // The name of the process, in brackets, may have spaces.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks: f64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum();
    ticks / TICKS
}

fn compare() {
    let (mut cpu, mut rate) = (Vec::new(), Vec::new());
    println!("{:<8}{:>14}{:>14}", "", "CPU us/span", "spans/s");
    for _ in 0..ROUNDS {
        let [ours, sdk] = ["ours", "sdk"].map(measure);
        cpu.push(ours.0 / sdk.0);
        rate.push(ours.1 / sdk.1);
    }
    let [cpu, rate] = [cpu, rate].map(|mut ratios| {
        ratios.sort_by(f64::total_cmp);
        ratios[ROUNDS / 2]
    });
    println!("CPU {cpu:.2} x (at most {CPU}), spans/s {rate:.2} x (at least {RATE})");
    assert!(cpu <= CPU && rate >= RATE, "ours costs too much beside the SDK");
}

fn measure(name: &str) -> (f64, f64) {
    let mut receiver = start(&["--receive"]);
    let mut lines = BufReader::new(receiver.stdout.take().expect("a pipe")).lines();
    let endpoint = lines.next().expect("an address").expect("a line");
    let output = start(&["--serve", name, &endpoint]).wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    drop(receiver.stdin.take());
    let delivered: usize = lines.next().expect("a count").expect("a line").parse().expect("a number");
    receiver.wait().expect("it ends");
    assert_eq!(delivered, BURST * (BURSTS + 1), "{name} has lost spans");
    println!("{name:<8}{:>14.2}{:>14.0}", numbers[0], numbers[1]);
    (numbers[0], numbers[1])
}

fn start(arguments: &[&str]) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}
