//! Measures cases: instructions by callgrind, allocations by a counting allocator, each per call and next to the bare
//! case before it in the same run. Shared by `cost.rs` and, outside of this workspace, by `tests/bench/comparison.rs`.
//!
//! Each case runs in a process of its own, as telemetry is global; callgrind counts only inside `measured`, and the
//! difference between two lengths of a run leaves out the cost of starting. Valgrind does not see into the kernel's
//! clock page, so the clock reads (two a call) are undercounted.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use ironcore_telemetry as telemetry;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::process::Command;
use std::task::{Context as TaskContext, Poll, Waker};
use telemetry::{Config, Sampling};
use tower::{Service, ServiceExt};

/// Calls in the shorter and in the longer run: fewer than the queue has room for at once.
const LENGTHS: [u32; 2] = [500, 1_500];
/// How far above its limit a case may be: the difference between machines.
pub(crate) const MARGIN: f64 = 1.03;

/// Something to measure.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The most that it may cost over the bare case before it: instructions and allocations.
    pub(crate) must: Option<(f64, f64)>,
    pub(crate) traces: &'static str,
    pub(crate) run: fn(u32),
}

pub(crate) const fn case(name: &'static str, must: Option<(f64, f64)>, run: fn(u32)) -> Case {
    Case { name, must, traces: "otlp", run }
}

/// Runs one case when the arguments of this process name it: `--case NAME CALLS`.
pub(crate) fn run_named_case(cases: &[Case]) -> bool {
    let mut arguments = std::env::args().skip(1);
    let (Some("--case"), Some(name), Some(calls)) = (arguments.next().as_deref(), arguments.next(), arguments.next())
    else {
        return false;
    };
    let case = cases.iter().find(|case| case.name == name).expect("a known case");
    (case.run)(calls.parse().expect("a number of calls"));
    true
}

/// Measures all cases and prints them as a table; returns the names of those above their limit.
pub(crate) fn print_table(cases: &[Case]) -> Vec<&'static str> {
    println!("{:<40}{:>14}{:>12}{:>9}{:>11}{:>14}", "case", "instructions", "over bare", "allocs", "over bare", "must");
    let (mut bare, mut above) = ((0.0, 0.0), Vec::new());
    for case in cases {
        let [short, long] = LENGTHS.map(|calls| measure(case, calls));
        let calls = f64::from(LENGTHS[1] - LENGTHS[0]);
        let (instructions, allocations) = ((long.0 - short.0) / calls, (long.1 - short.1) / calls);
        if case.name.starts_with("bare") {
            bare = (instructions, allocations);
        }
        let over = (instructions - bare.0, allocations - bare.1);
        let must = case.must.map_or(String::new(), |(most, allocs)| format!("{most} / {allocs}"));
        println!("{:<40}{instructions:>14.0}{:>12.0}{allocations:>9.2}{:>11.2}{must:>14}", case.name, over.0, over.1);
        if case.must.is_some_and(|(most, allocs)| over.0 > most * MARGIN || over.1 > allocs * MARGIN) {
            above.push(case.name);
        }
    }
    above
}

/// Instructions and allocations of one run.
fn measure(case: &Case, calls: u32) -> (f64, f64) {
    let arguments = ["--case", case.name, &calls.to_string()];
    let mut callgrind = Command::new("valgrind");
    callgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--collect-atstart=no", "--toggle-collect=*measured*"])
        .arg(std::env::current_exe().expect("this program"))
        .args(arguments);
    let instructions = number_after("Collected :", callgrind.env("OTEL_TRACES_EXPORTER", case.traces));
    let mut plain = this_program(&arguments);
    (instructions, number_after("allocations:", plain.env("OTEL_TRACES_EXPORTER", case.traces)))
}

pub(crate) fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments);
    command
}

/// Runs a command; the number that follows `mark` in its output.
pub(crate) fn number_after(mark: &str, command: &mut Command) -> f64 {
    let output = command.output().expect("it runs (valgrind: apt-get install valgrind)");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let number =
        text.split_once(mark).and_then(|(_, rest)| rest.split_whitespace().next()?.replace(',', "").parse().ok());
    number.unwrap_or_else(|| panic!("no {mark:?} in: {text}"))
}

/// Runs a case and prints its allocations.
pub(crate) fn repeat<T>(calls: u32, mut case: impl FnMut() -> T) {
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

/// Polls a future that is ready at once. Never inlined, so that the bare case pays for the call too.
#[inline(never)]
pub(crate) fn call<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(value) => black_box(value),
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// Telemetry whose spans stay in the queue.
pub(crate) fn start(sampling: Sampling) -> telemetry::TelemetryGuard {
    telemetry::init_with(quiet().sampling(sampling)).expect("telemetry starts")
}

pub(crate) fn quiet() -> Config {
    Config::new("bench").endpoint("http://127.0.0.1:9").metrics_listener(None).log_filter("off")
}

pub(crate) fn under_parent<T>(calls: u32, flags: TraceFlags, case: impl FnMut() -> T) {
    let _guard = start(Sampling::Always);
    let parent = SpanContext::new(1_u128.into(), 1_u64.into(), flags, true, TraceState::NONE);
    let _current = opentelemetry::Context::new().with_remote_span_context(parent).attach();
    repeat(calls, case);
}

pub(crate) fn bare_router() -> axum::Router {
    let wallet = axum::routing::get(async || "wallet").post(async |body: String| body);
    axum::Router::new().route("/wallets/{id}", wallet)
}

/// Sends a `GET` to the router, again and again.
pub(crate) fn requests(calls: u32, router: &axum::Router) {
    send(calls, get, router);
}

/// Sends requests to a service and reads its responses to their ends.
pub(crate) fn send<S, A>(calls: u32, request: impl Fn() -> Request<Body>, service: &S)
where
    S: Service<Request<Body>, Response = Response<A>, Error: std::fmt::Debug> + Clone,
    A: http_body::Body<Error: std::fmt::Debug>,
{
    repeat(calls, || {
        let answer = call(service.clone().oneshot(request())).expect("a response");
        call(answer.into_body().collect()).expect("a body").to_bytes()
    });
}

pub(crate) fn get() -> Request<Body> {
    Request::get("/wallets/7").body(Body::empty()).expect("a request")
}
