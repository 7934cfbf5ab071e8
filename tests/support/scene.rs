//! Telemetry, servers and runtimes that tests start in the same way, and waiting for their effects.

use crate::{Receiver, Span};
use ironcore_telemetry::{self as telemetry, Config, TelemetryGuard};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Telemetry of a scenario: a named service, everything else from the child's environment.
///
/// # Panics
/// When telemetry does not start.
pub fn start() -> TelemetryGuard {
    telemetry::init_with(Config::new("tests").version("1.0.0")).expect("telemetry starts")
}

/// Shuts down with a limit that no test reaches, so that a shutdown which waits for its limit never ends; see
/// [`shutdown_within`].
#[must_use]
pub fn shutdown(guard: &TelemetryGuard) -> Value {
    shutdown_within(guard, Duration::from_hours(1))
}

/// Shuts down; `null` when everything was delivered, else the report.
#[must_use]
pub fn shutdown_within(guard: &TelemetryGuard, limit: Duration) -> Value {
    let report = guard.shutdown(limit);
    json!((!report.is_complete()).then(|| report.to_string()))
}

/// Shuts down without waiting for a collector: for scenarios whose spans are not looked at.
pub fn shutdown_at_once(guard: &TelemetryGuard) {
    // What is lost is lost on purpose.
    let _ = guard.shutdown(Duration::from_millis(1));
}

/// Telemetry of this process that exports to a receiver in it, without a listener and without log lines.
///
/// # Panics
/// When one of them does not start.
pub fn start_recording(service: &str) -> (Receiver, TelemetryGuard) {
    let receiver = Receiver::start().expect("the receiver starts");
    let config = Config::new(service).endpoint(receiver.grpc_url()).metrics_listener(None).log_filter("off");
    (receiver, telemetry::init_with(config).expect("telemetry starts"))
}

/// Telemetry of this process with its receiver, and a server; all live as long as this.
pub struct Scene {
    /// Receives the spans.
    pub receiver: Receiver,
    /// The address of the server.
    pub address: SocketAddr,
    _guard: TelemetryGuard,
}

impl Scene {
    /// Starts telemetry, then the server, so that its layers are recorded.
    #[must_use]
    pub fn start<F: Future>(service: &str, server: impl FnOnce(TcpListener) -> F + Send + 'static) -> Self {
        let (receiver, guard) = start_recording(service);
        Self { receiver, address: serve(server), _guard: guard }
    }
}

/// Serves on a free port, on a thread and a runtime that live as long as the process; returns the address.
///
/// # Panics
/// When there is no free port.
pub fn serve<F: Future>(server: impl FnOnce(TcpListener) -> F + Send + 'static) -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        multi_thread().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            sender.send(listener.local_addr().expect("an address")).expect("the caller waits");
            server(listener).await;
        });
    });
    receiver.recv().expect("an address")
}

/// A runtime of one thread.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A runtime with two workers.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Looks until there is something to find.
///
/// # Panics
/// When there is nothing after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    stack::query::wait_until(PATIENCE, Duration::from_millis(10), what, || Ok::<_, Infallible>(find()))
        .unwrap_or_else(|late| panic!("{late:?}\n{}", telemetry::scrape::render()))
}

/// The span of this name, as soon as it has arrived.
///
/// # Panics
/// When it does not arrive.
#[must_use]
pub fn span_named(receiver: &Receiver, name: &str) -> Span {
    wait_for(name, || receiver.spans().into_iter().find(|span| span.name == name))
}
