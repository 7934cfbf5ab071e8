//! What is slow, stalled or noisy around telemetry: nothing on the telemetry thread waits for it, and nothing that
//! happens there becomes telemetry.

use ironcore_telemetry as telemetry;
use opentelemetry::global;
use opentelemetry::metrics::AsyncInstrument;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use support::{
    Receiver, assert_sample, current_thread, in_child, page_at, shutdown, shutdown_within, span_named, stall_stdout,
    wait_for,
};
use telemetry::{Config, TelemetryGuard};
use tower::ServiceExt as _;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

#[telemetry::instrument_business]
fn create_wallet() {}

/// Telemetry whose page is at this address.
fn start() -> (TelemetryGuard, SocketAddr) {
    let address = stack::addresses::free_address().unwrap();
    // A scenario that fails with a stalled stdout must end all the same.
    let config = Config::new("tests").version("1.0.0").metrics_listener(address).panic_hook(false);
    (telemetry::init_with(config).unwrap(), address)
}

/// A gauge with this callback.
fn observe(name: &'static str, callback: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static) {
    let meter = global::meter("users");
    let _ = meter.u64_observable_gauge(name).with_callback(callback).build();
}

/// A gauge whose callback reports 1, and hangs from the moment on that the flag is raised.
fn hang_when(hangs: &Arc<AtomicBool>) {
    let hangs = Arc::clone(hangs);
    observe("hung", move |observer| {
        while hangs.load(Ordering::Relaxed) {
            thread::park();
        }
        observer.observe(1, &[]);
    });
}

/// A gauge whose callback is in order.
fn observe_sound() {
    observe("sound", |observer| observer.observe(5, &[]));
}

const HUNG: &str = r#"hung{otel_scope_name="users"}"#;
const SOUND: &str = r#"sound{otel_scope_name="users"}"#;
const LATE: &str = r#"telemetry_degraded{component="metric_callbacks"}"#;

/// Waits for a page of the listener on which the series has this value, or a higher one.
fn page_with(address: SocketAddr, series: &str, least: u32) -> String {
    wait_for(series, || {
        let page = page_at(address)?;
        let value: f64 = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?.parse().ok()?;
        (value >= f64::from(least)).then_some(page)
    })
}

#[test]
fn spans_arrive_while_stdout_a_callback_and_clients_of_the_page_are_stalled() {
    let child = in_child!(|| {
        let (guard, address) = start();
        stall_stdout();
        hang_when(&Arc::new(AtomicBool::new(true)));
        observe_sound();
        let idle: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        // The telemetry thread has a warning to write about that, and another one about the callback.
        page_with(address, r#"telemetry_export_failures_total{signal="metrics"}"#, 1);
        page_with(address, LATE, 1);
        (0..100).for_each(|_| create_wallet());
        let exported = r#"telemetry_exported_total{signal="traces"}"#;
        let page = page_with(address, exported, 100);
        drop(idle);
        let _ = shutdown_within(&guard, Duration::from_secs(1));
        json!({ "page": page })
    });
    let receiver = Receiver::start().unwrap();
    let report = child
        .exporting_to(&receiver)
        // The scenario itself must not write the lines of its operations.
        .env("RUST_LOG", "warn")
        .env("OTEL_METRICS_EXPORTER", "prometheus,otlp")
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .run_unread();
    assert_eq!(receiver.spans().len(), 100);
    assert_sample(report.page(), SOUND, 5);
    assert!(!report.page().contains(HUNG), "{}", report.page());
}

#[test]
fn a_callback_that_hangs_keeps_its_last_values_on_the_page_and_is_named_once() {
    let child = in_child!(|| {
        let (guard, address) = start();
        let hangs = Arc::default();
        hang_when(&hangs);
        observe_sound();
        let before = page_with(address, HUNG, 1);
        hangs.store(true, Ordering::Relaxed);
        let page = page_with(address, LATE, 1);
        // The page of a router has the same bounds: none of these waits for the callback to return.
        let router: axum::Router = telemetry::scrape::router();
        let statuses: BTreeSet<_> = current_thread().block_on(async {
            let request = || http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
            let requests = (0..10).map(|_| tokio::spawn(router.clone().oneshot(request())));
            let mut statuses = BTreeSet::new();
            for response in requests.collect::<Vec<_>>() {
                statuses.insert(response.await.unwrap().unwrap().status().as_u16());
            }
            statuses
        });
        json!({ "before": before, "page": page, "statuses": statuses, "lost": shutdown(&guard) })
    });
    let report = child.run();
    assert_sample(report.result["before"].as_str().unwrap(), SOUND, 5);
    assert_sample(report.page(), HUNG, 1);
    assert_sample(report.page(), SOUND, 5);
    assert_eq!(report.result["statuses"], json!([200]));
    assert_eq!(report.lost(), None, "the callback does not hold up the shutdown");
    let named: Vec<_> = report.log().into_iter().filter(|line| line["instrument"] == "hung").collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(named[0]["level"], "WARN");
}

#[test]
fn lines_and_spans_of_a_callback_are_those_of_the_service() {
    let child = in_child!(|| {
        let (guard, address) = start();
        observe("level", |observer| {
            let _span = tracing::info_span!("read the level").entered();
            tracing::info!("in a callback");
            observer.observe(1, &[]);
        });
        page_with(address, r#"level{otel_scope_name="users"}"#, 1);
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert_eq!(report.lost(), None);
    let span = span_named(&receiver, "read the level");
    let line = report.log().into_iter().find(|line| line["message"] == "in a callback").unwrap();
    let spans = receiver.spans();
    assert_eq!(span.parent_span_id, None);
    assert!(spans.iter().any(|span| line["span_id"] == span.span_id.as_str()), "{line}");
}

/// Keeps what reaches a layer of the service, by target and thread.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<BTreeSet<(String, ThreadKey)>>>);

type ThreadKey = (bool, String);

impl Heard {
    fn hear(&self, metadata: &Metadata<'_>, here: ThreadId) {
        let current = thread::current();
        let key = (current.id() == here, current.name().unwrap_or_default().to_owned());
        self.0.lock().unwrap().insert((metadata.target().to_owned(), key));
    }
}

/// The layer of a service whose own thread is this one.
struct Hears(Heard, ThreadId);

impl<S: Subscriber> Layer<S> for Hears {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.0.hear(span.metadata(), self.1);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.hear(event.metadata(), self.1);
    }
}

#[test]
fn what_the_transports_log_and_trace_reaches_no_layer_whatever_the_filters_say() {
    let child = in_child!(|| {
        let heard = Heard::default();
        let layer = Hears(heard.clone(), thread::current().id());
        let address = stack::addresses::free_address().unwrap();
        let config = Config::new("tests").metrics_listener(address).layer(layer);
        let guard = telemetry::init_with(config).unwrap();
        let collected = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&collected);
        observe("collected", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        create_wallet();
        // Each is one push of metrics.
        wait_for("pushes", || (collected.load(Ordering::Relaxed) >= 10).then_some(()));
        page_with(address, r#"telemetry_exported_total{signal="traces"}"#, 1);
        let lost = shutdown(&guard);
        let foreign: Vec<Value> = heard.0.lock().unwrap().iter().map(|heard| json!(heard)).collect();
        json!({ "lost": lost, "heard": foreign })
    });
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start().unwrap();
        let report = child
            .clone()
            .exporting_to(&receiver)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("RUST_LOG", "trace")
            .env("IRONCORE_TRACE_FILTER", "trace")
            .env("OTEL_METRICS_EXPORTER", "prometheus,otlp")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .run();
        assert_eq!(report.lost(), None, "{protocol}");
        let heard = report.result["heard"].as_array().unwrap();
        assert!(heard.iter().any(|heard| heard[0] == "business"), "the layer hears the service: {heard:?}");
        let foreign: Vec<_> = heard.iter().filter(|heard| heard[1][0] == false).collect();
        assert!(foreign.iter().all(|heard| heard[0] == "ironcore_telemetry"), "{protocol}: {foreign:?}");
        let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["wallet.create"], "{protocol}");
        for target in ["hyper", "h2", "tonic", "tower", "rustls"] {
            let of_transport = |line: &&String| line.contains(&format!(r#""target":"{target}"#));
            assert_eq!(report.lines.iter().find(of_transport), None, "{protocol}");
        }
    }
}
