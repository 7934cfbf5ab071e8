//! A process with telemetry of its own, for behaviour that is global to a process. Each scenario does one thing and
//! prints what a test wants to know as one JSON line that begins with `{"probe":`.

use ironcore_telemetry as telemetry;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use telemetry::{Config, TelemetryGuard};

fn main() {
    let scenario = std::env::args().nth(1).unwrap_or_default();
    let result = match scenario.as_str() {
        "without_runtime" => spans_and_shutdown(),
        "current_thread" => current_thread().block_on(async { spans_and_shutdown() }),
        "single_worker_task" => single_worker_task(),
        "multi_thread" => multi_thread().block_on(async { spans_and_shutdown() }),
        "init" => init_only(),
        "twice" => twice(),
        "race" => race(),
        "foreign_subscriber" => foreign_subscriber(),
        "disabled" => disabled(),
        "dropped_guard" => dropped_guard(),
        "idle" => idle(),
        "nesting" => multi_thread().block_on(nesting()),
        "disabled_layer" => multi_thread().block_on(disabled_layer()),
        "hostile_sampling" => multi_thread().block_on(hostile_sampling()),
        "baggage" => multi_thread().block_on(baggage()),
        "dropped_in_span" => multi_thread().block_on(dropped_in_span()),
        "late_spans" => late_spans(),
        "longest_shutdown" => longest_shutdown(),
        "unsampled" => multi_thread().block_on(unsampled()),
        "endings" => multi_thread().block_on(endings()),
        "instruments" => instruments(),
        "log_lines" => log_lines(),
        "span_events" => span_events(),
        "closed_stdout" => closed_stdout(),
        other => panic!("no scenario {other:?}"),
    };
    eprintln!("{}", json!({ "probe": result }));
}

#[telemetry::instrument_business]
fn create_wallet() {}

#[telemetry::instrument_business]
async fn send_transaction() -> Result<(), String> {
    tokio::task::yield_now().await;
    tracing::info!("inside");
    Ok(())
}

fn start() -> TelemetryGuard {
    telemetry::init_with(Config::new("probe").version("1.0.0")).expect("telemetry starts")
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// A hundred operations and a shutdown, wherever this is called.
fn spans_and_shutdown() -> Value {
    let guard = start();
    for _ in 0..100 {
        create_wallet();
    }
    shutdown(guard)
}

/// `PROBE_SHUTDOWN_MS`; when unset, longer than any test may take, so that a shutdown which waits for its limit shows.
fn shutdown(guard: TelemetryGuard) -> Value {
    let limit = std::env::var("PROBE_SHUTDOWN_MS").map_or(3_600_000, |ms| ms.parse().expect("milliseconds"));
    let started = Instant::now();
    let result = guard.shutdown(Duration::from_millis(limit));
    let took = started.elapsed().as_millis();
    json!({ "shutdown": result.map_err(|error| error.to_string()), "shutdown_ms": took })
}

fn single_worker_task() -> Value {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { tokio::spawn(async { spans_and_shutdown() }).await.expect("the task ends") })
}

/// `init` from the environment alone.
fn init_only() -> Value {
    // Before `init` a call is not recorded, and its site is none the worse for it.
    create_wallet();
    match telemetry::init() {
        Ok(guard) => {
            create_wallet();
            let page = telemetry::scrape::render();
            let mut report = shutdown(guard);
            report["page"] = json!(page);
            report
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn twice() -> Value {
    let guard = start();
    let second = telemetry::init().err().map(|error| error.to_string());
    create_wallet();
    let mut report = shutdown(guard);
    let third = telemetry::init().err().map(|error| error.to_string());
    report["second"] = json!(second);
    report["after_shutdown"] = json!(third);
    report
}

fn race() -> Value {
    let threads: Vec<_> = (0..64).map(|_| std::thread::spawn(telemetry::init)).collect();
    let results: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    let started = results.iter().filter(|result| result.is_ok()).count();
    json!({ "started": started, "refused": results.len() - started })
}

fn foreign_subscriber() -> Value {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("the first subscriber");
    let threads = threads();
    let error = telemetry::init().err().map(|error| error.to_string());
    // The listener and the thread are gone with the error; the thread needs a moment to end.
    let deadline = Instant::now() + support::PATIENCE;
    while self::threads() > threads && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    json!({ "error": error, "threads_left": self::threads() - threads })
}

fn disabled() -> Value {
    let (threads, sockets) = (threads(), sockets());
    let guard = telemetry::init().expect("disabled telemetry starts");
    create_wallet();
    tracing::info!("nobody hears this");
    let report = json!({ "new_threads": self::threads() - threads, "new_sockets": self::sockets() - sockets });
    guard.shutdown(Duration::from_secs(1)).expect("nothing to lose");
    report
}

/// Requests and operations while telemetry is off leave no series.
async fn disabled_layer() -> Value {
    use tower::ServiceExt;
    let guard = telemetry::init().expect("disabled telemetry starts");
    let app = axum::Router::new().layer(telemetry::HttpTelemetryLayer::new());
    let request = http::Request::new(axum::body::Body::empty());
    let _ = app.oneshot(request).await.expect("an answer");
    let _ = send_transaction().await;
    guard.shutdown(Duration::from_secs(1)).expect("nothing to lose");
    json!({ "page": telemetry::scrape::render() })
}

/// A thousand requests of strangers who want to be sampled, and one of a friend.
async fn hostile_sampling() -> Value {
    use telemetry::{Boundary, HttpTelemetryLayer};
    use tower::ServiceExt;
    let guard = start();
    let layer = HttpTelemetryLayer::new().boundary_with(|caller| match caller.method().as_str() {
        "PUT" => Boundary::Trusted,
        _ => Boundary::Public,
    });
    let app = axum::Router::new().layer(layer);
    let ask = |method: &str, id: u32| {
        let request =
            http::Request::builder().method(method).header("traceparent", format!("00-{id:032x}-00f067aa0ba902b7-01"));
        let request = request.body(axum::body::Body::empty()).expect("a request");
        app.clone().oneshot(request)
    };
    for id in 1..=1_000 {
        let _ = ask("GET", id).await.expect("an answer");
    }
    let strangers = telemetry::scrape::render();
    let _ = ask("PUT", 1_001).await.expect("an answer");
    let friend = telemetry::scrape::render();
    // Nobody takes the friend's span here.
    let _ = guard.shutdown(Duration::from_millis(1));
    json!({ "strangers": strangers, "page": friend })
}

/// The baggage that arrives at the handler of a stranger and of a friend, and that leaves to a peer.
async fn baggage() -> Value {
    use opentelemetry::Context;
    use opentelemetry::baggage::BaggageExt;
    use opentelemetry::trace::FutureExt;
    use telemetry::{Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};
    use tower::{Layer, ServiceExt, service_fn};
    let guard = start();
    let mut arrived = Vec::new();
    for boundary in [Boundary::Public, Boundary::Trusted] {
        let handler = axum::routing::get(async || Context::current().baggage().to_string());
        let app = axum::Router::new().route("/", handler).layer(HttpTelemetryLayer::new().boundary(boundary));
        let request = http::Request::get("/")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .header("baggage", "tenant=7");
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let answer = app.oneshot(request).await.expect("an answer");
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.expect("a body");
        arrived.push(String::from_utf8_lossy(&body).into_owned());
    }
    let mut left = Vec::new();
    for (send, uri) in
        [(false, "http://ledger.internal/"), (true, "http://ledger.internal/"), (true, "http://api.example.org/")]
    {
        let layer = HttpClientTelemetryLayer::new("peer").send_baggage(send);
        let peer = service_fn(async |request: http::Request<axum::body::Body>| {
            let baggage = request.headers().get("baggage").cloned();
            let baggage = baggage.and_then(|value| value.to_str().map(str::to_owned).ok());
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from(baggage.unwrap_or_default())))
        });
        let request = http::Request::get(uri).body(axum::body::Body::empty()).expect("a request");
        let context = Context::new().with_baggage([opentelemetry::KeyValue::new("tenant", "7")]);
        let answer = layer.layer(peer).oneshot(request).with_context(context).await;
        let body = axum::body::Body::new(answer.expect("an answer").into_body());
        let body = axum::body::to_bytes(body, 1_000).await.expect("a body");
        left.push(String::from_utf8_lossy(&body).into_owned());
    }
    let _ = guard.shutdown(Duration::from_millis(1));
    json!({ "arrived": arrived, "left": left })
}

/// A cancelled operation whose values log as they are dropped.
async fn dropped_in_span() -> Value {
    let guard = start();
    let _ = tokio::time::timeout(Duration::from_millis(10), hold_wallet()).await;
    tokio::task::spawn_blocking(move || shutdown(guard)).await.expect("it ends")
}

#[telemetry::instrument_business]
async fn hold_wallet() {
    struct LastWords;
    impl Drop for LastWords {
        fn drop(&mut self) {
            tracing::info!("last words");
        }
    }
    let _held = LastWords;
    std::future::pending::<()>().await;
}

/// Operations that end before and after the shutdown.
fn late_spans() -> Value {
    let guard = start();
    create_wallet();
    let mut report = shutdown(guard);
    (0..10).for_each(|_| create_wallet());
    report["page"] = json!(telemetry::scrape::render());
    report
}

/// No limit is a limit too.
fn longest_shutdown() -> Value {
    let guard = start();
    create_wallet();
    json!({ "ok": guard.shutdown(Duration::MAX).is_ok() })
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    links.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

fn dropped_guard() -> Value {
    let guard = start();
    create_wallet();
    drop(guard);
    Value::Null
}

/// One operation, then nothing for as long as `PROBE_IDLE_MS` says.
fn idle() -> Value {
    let guard = start();
    create_wallet();
    let idle = std::env::var("PROBE_IDLE_MS").expect("PROBE_IDLE_MS").parse().expect("milliseconds");
    std::thread::sleep(Duration::from_millis(idle));
    shutdown(guard)
}

/// `tracing` → ours → `tracing` → ours, over await points, with a neighbour task in between.
async fn nesting() -> Value {
    use tracing::Instrument;
    let guard = start();
    let neighbour = tokio::spawn(async { send_transaction().await });
    async {
        outer_swap().await;
    }
    .instrument(tracing::info_span!("tracing_outer"))
    .await;
    neighbour.await.expect("it ends").expect("ok");
    tokio::task::spawn_blocking(move || shutdown(guard)).await.expect("it ends")
}

#[telemetry::instrument_business]
async fn outer_swap() {
    use tracing::Instrument;
    tokio::task::yield_now().await;
    async {
        tokio::task::yield_now().await;
        let _ = send_transaction().await;
    }
    .instrument(tracing::info_span!("tracing_inner"))
    .await;
}

/// An operation under a caller's span that is not sampled: no span, but the caller's ids in the log.
async fn unsampled() -> Value {
    use opentelemetry::trace::{FutureExt, SpanContext, TraceFlags, TraceState};
    let guard = start();
    let (trace, span) = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128, 0xb7ad_6b71_6920_3331_u64);
    let caller = SpanContext::new(trace.into(), span.into(), TraceFlags::NOT_SAMPLED, true, TraceState::NONE);
    let caller = opentelemetry::Context::new().with_remote_span_context(caller);
    let _ = send_transaction().with_context(caller).await;
    let page = telemetry::scrape::render();
    let mut report = shutdown(guard);
    report["page"] = json!(page);
    report
}

/// Every way in which an operation can end.
async fn endings() -> Value {
    let guard = start();
    let at_zero = telemetry::scrape::render();
    let _ = pay(0).await;
    let _ = pay(1).await;
    let _ = pay(2).await;
    let panicked = tokio::spawn(pay(3)).await.is_err();
    let cancelled = tokio::time::timeout(Duration::from_millis(20), pay(4)).await.is_err();
    let page = telemetry::scrape::render();
    let mut report = shutdown(guard);
    report["at_zero"] = json!(at_zero);
    report["page"] = json!(page);
    report["panicked_and_cancelled"] = json!(panicked && cancelled);
    report
}

enum PaymentError {
    InsufficientFunds,
    SignerUnavailable,
}

impl telemetry::Outcome for PaymentError {
    fn class(&self) -> telemetry::OutcomeClass {
        match self {
            Self::InsufficientFunds => telemetry::OutcomeClass::Rejected,
            Self::SignerUnavailable => telemetry::OutcomeClass::Failed,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::SignerUnavailable => "signer_unavailable",
        }
    }
}

#[telemetry::instrument_business(payment)]
async fn pay(ending: u8) -> Result<(), PaymentError> {
    match ending {
        0 => Ok(()),
        1 => Err(PaymentError::InsufficientFunds),
        2 => Err(PaymentError::SignerUnavailable),
        3 => panic!("a bug"),
        _ => std::future::pending().await,
    }
}

/// OpenTelemetry instruments of a user's, with every name and label that is known to break a page.
fn instruments() -> Value {
    use opentelemetry::KeyValue;
    let guard = start();
    let meter = opentelemetry::global::meter("users");
    meter.u64_counter("orders_total").build().add(2, &[KeyValue::new("channel", "web")]);
    meter.u64_counter("orders.placed").build().add(3, &[]);
    meter.f64_histogram("checkout.duration").with_unit("s").build().record(0.07, &[]);
    meter.f64_histogram("request_duration_seconds").with_unit("s").build().record(0.2, &[KeyValue::new("le", "x")]);
    meter.u64_counter("sent_bytes").with_unit("By").build().add(1, &[]);
    let same = meter.u64_counter("same.labels").build();
    same.add(1, &[KeyValue::new("a.b", "x")]);
    same.add(1, &[KeyValue::new("a_b", "x")]);
    meter.u64_gauge("http_request_duration_seconds_count").build().record(1, &[]);
    let bad =
        [KeyValue::new("1digit", "a"), KeyValue::new("", "b"), KeyValue::new("a:b", "c"), KeyValue::new("a.b", "d")];
    meter.u64_counter("bad.labels").build().add(1, &bad);
    meter.u64_counter("http_requests").build().add(7, &[]);
    let tracer = opentelemetry::global::tracer_provider().tracer("users");
    tracer.in_span("users_span", |context| {
        context.span().set_attribute(KeyValue::new("n", 1));
    });
    let page = telemetry::scrape::render();
    let mut report = shutdown(guard);
    report["page"] = json!(page);
    report
}

/// Lines that a golden file shows, and lines that try to forge.
fn log_lines() -> Value {
    let guard = start();
    tracing::info!(count = 7_u64, ratio = 0.5, ok = true, who = "alice", "plain");
    tracing::warn!(trace_id = "forged", level = "forged", service = "forged", "reserved keys");
    tracing::error!("two\nlines \u{1b}[31m and \u{202e}more");
    tracing::info!(nan = f64::NAN, big = u128::MAX, debug = ?["a"], "types");
    log::info!("by the log crate");
    tracing::debug!("below the filter");
    inside_wallet();
    shutdown(guard)
}

#[telemetry::instrument_business]
fn inside_wallet() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("said while another line was written");
            formatter.write_str("chatty")
        }
    }
    tracing::info!(value = ?Chatty, "in an operation");
}

/// One operation that logs at every level.
fn span_events() -> Value {
    let guard = start();
    troubled_wallet();
    shutdown(guard)
}

#[telemetry::instrument_business]
fn troubled_wallet() {
    tracing::info!("not an event of the span");
    tracing::warn!(attempt = 2, "a warning");
    tracing::error!("an error");
}

/// The reader of stdout has gone; the business goes on.
fn closed_stdout() -> Value {
    let guard = start();
    let deadline = Instant::now() + support::PATIENCE;
    let lost = r#"telemetry_dropped_total{signal="logs",reason="io_error"} "#;
    let mut page = String::new();
    while Instant::now() < deadline {
        tracing::info!("nobody reads this");
        page = telemetry::scrape::render();
        if page.lines().any(|line| line.starts_with(lost) && !line.ends_with(" 0")) {
            break;
        }
    }
    let counted = page.lines().find(|line| line.starts_with(lost)).map(ToOwned::to_owned);
    let mut report = shutdown(guard);
    report["counted"] = json!(counted);
    report
}
