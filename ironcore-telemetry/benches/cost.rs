//! What one instrumented call and one request cost the calling thread: instructions by callgrind, allocations by a
//! counting allocator, each next to the bare call in the same run. `cargo bench --bench cost` prints the table.
//!
//! Each case runs in a process of its own, as telemetry is global; callgrind counts only inside `measured`, and the
//! difference between two lengths of a run leaves out what is not per call. Valgrind does not see into the kernel's
//! clock page, so the clock reads (two a call) are undercounted.

use ironcore_telemetry as telemetry;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::task::{Context as TaskContext, Poll, Waker};
use telemetry::{Config, HttpTelemetryLayer, Sampling};
use tower::ServiceExt;

/// A case by name, and how to run it so many times.
type Case = (&'static str, fn(u32));

const CASES: &[Case] = &[
    ("bare call", |n| repeat(n, || call(bare(black_box(7))))),
    ("no init", |n| {
        repeat(n, || call(create_wallet(black_box(7))));
    }),
    ("unsampled under a parent", |n| {
        instrumented(n, TraceFlags::NOT_SAMPLED);
    }),
    ("sampled under a parent", |n| {
        instrumented(n, TraceFlags::SAMPLED);
    }),
    ("bare request", |n| requests(n, &bare_router())),
    ("request, unsampled", |n| {
        let _guard = start(Sampling::Never);
        requests(n, &bare_router().layer(HttpTelemetryLayer::new()));
    }),
    ("request, sampled", |n| {
        let _guard = start(Sampling::Always);
        requests(n, &bare_router().layer(HttpTelemetryLayer::new()));
    }),
];

/// Calls in the shorter and in the longer run.
const LENGTHS: [u32; 2] = [1_000, 3_000];

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (
        arguments.next().as_deref(),
        arguments.next(),
        arguments.next(),
    ) {
        (Some("--case"), Some(name), Some(calls)) => {
            run(&name, calls.parse().expect("a number of calls"));
        }
        // What cargo itself passes, `--bench`, asks for the table.
        _ => table(),
    }
}

fn run(name: &str, calls: u32) {
    let (_, case) = CASES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a known case");
    case(calls);
}

fn table() {
    println!(
        "{:<28}{:>16}{:>16}{:>12}{:>12}",
        "case", "instructions", "over bare", "allocs", "over bare"
    );
    let mut bare = (0.0, 0.0);
    for (name, _) in CASES {
        let [short, long] = LENGTHS.map(|calls| measure(name, calls));
        let calls = f64::from(LENGTHS[1] - LENGTHS[0]);
        let (instructions, allocations) = ((long.0 - short.0) / calls, (long.1 - short.1) / calls);
        if name.starts_with("bare") {
            bare = (instructions, allocations);
        }
        let over = (instructions - bare.0, allocations - bare.1);
        println!(
            "{name:<28}{instructions:>16.0}{:>16.0}{allocations:>12.2}{:>12.2}",
            over.0, over.1
        );
    }
}

/// Instructions and allocations of one run.
fn measure(name: &str, calls: u32) -> (f64, f64) {
    let program = std::env::current_exe().expect("this program");
    let arguments = ["--case", name, &calls.to_string()];
    let profile = "--callgrind-out-file=/dev/null";
    let run = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            profile,
            "--collect-atstart=no",
            "--toggle-collect=*measured*",
        ])
        .arg(&program)
        .args(arguments)
        .output()
        .expect("valgrind is installed (apt-get install valgrind)");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let instructions =
        after(&said, "Collected :").unwrap_or_else(|| panic!("callgrind said: {said}"));
    let run = Command::new(&program)
        .args(arguments)
        .output()
        .expect("this program runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let allocations =
        after(&said, "allocations:").unwrap_or_else(|| panic!("the case said: {said}"));
    (instructions, allocations)
}

fn after(text: &str, mark: &str) -> Option<f64> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Runs a case and prints what it allocated.
fn repeat<T>(calls: u32, mut case: impl FnMut() -> T) {
    let mut case = || drop(black_box(case()));
    let counted = allocation_counter::measure(|| measured(calls, &mut case));
    println!("allocations: {}", counted.count_total);
}

/// The only function that callgrind looks into; it holds no closure, whose name would match too.
#[inline(never)]
fn measured(calls: u32, case: &mut dyn FnMut()) {
    for _ in 0..calls {
        case();
    }
}

#[expect(
    clippy::unused_async,
    reason = "the call that is measured is asynchronous"
)]
async fn bare(id: u64) -> Result<u64, String> {
    if id == 0 {
        Err("none".to_owned())
    } else {
        Ok(id)
    }
}

#[telemetry::instrument_business]
async fn create_wallet(id: u64) -> Result<u64, String> {
    if id == 0 {
        Err("none".to_owned())
    } else {
        Ok(id)
    }
}

/// Polls a future that is ready at once.
fn call<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => black_box(value),
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// Telemetry whose spans stay in the queue, which is longer than a run.
fn start(sampling: Sampling) -> telemetry::TelemetryGuard {
    let config = Config::new("bench")
        .endpoint("http://127.0.0.1:9")
        .metrics_listener(None)
        .log_filter("off");
    telemetry::init_with(config.sampling(sampling)).expect("telemetry starts")
}

fn instrumented(calls: u32, flags: TraceFlags) {
    let _guard = start(Sampling::Always);
    let parent = SpanContext::new(1_u128.into(), 1_u64.into(), flags, true, TraceState::NONE);
    let _current = opentelemetry::Context::new()
        .with_remote_span_context(parent)
        .attach();
    repeat(calls, || call(create_wallet(black_box(7))));
}

fn bare_router() -> axum::Router {
    axum::Router::new().route("/wallets/{id}", axum::routing::get(async || "wallet"))
}

fn requests(calls: u32, router: &axum::Router) {
    repeat(calls, || {
        let request = http::Request::get("/wallets/7")
            .body(axum::body::Body::empty())
            .expect("a request");
        let answer = call(router.clone().oneshot(request)).expect("an answer");
        black_box(answer.status());
    });
}
