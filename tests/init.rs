//! `init` and its guard: on every kind of runtime, with bad settings, beside other subscribers, without a collector.

use axum::body::Body;
use axum::http::Request;
use ironcore_telemetry as telemetry;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::FutureExt as _;
use opentelemetry::{Context, KeyValue};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;
use support::{
    Child, Receiver, assert_sample, current_thread, in_child, multi_thread, shutdown, shutdown_at_once,
    shutdown_within, start, wait_for,
};
use telemetry::{Boundary, HttpClientTelemetryLayer, HttpTelemetryLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

#[telemetry::instrument_business]
fn create_wallet() {}

/// A hundred operations and a shutdown, on whatever thread this is called.
fn hundred_operations() -> Value {
    let guard = start();
    for _ in 0..100 {
        create_wallet();
    }
    json!({ "lost": shutdown(&guard) })
}

/// All hundred operations arrive, and the shutdown ends long before its limit of an hour.
fn delivers_everything(child: Child, protocol: &str) {
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).run();
    assert_eq!(report.lost(), None);
    let ids: HashSet<_> = receiver.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn spans_arrive_over_grpc_without_a_runtime() {
    delivers_everything(in_child!(hundred_operations), "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_current_thread_runtime() {
    delivers_everything(in_child!(|| current_thread().block_on(async { hundred_operations() })), "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_task_of_the_only_worker() {
    let child = in_child!(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(async { tokio::spawn(async { hundred_operations() }).await.unwrap() })
    });
    delivers_everything(child, "grpc");
}

#[test]
fn spans_arrive_over_grpc_from_a_multi_thread_runtime() {
    delivers_everything(in_child!(|| multi_thread().block_on(async { hundred_operations() })), "grpc");
}

#[test]
fn spans_arrive_over_http_without_a_runtime() {
    delivers_everything(in_child!(hundred_operations), "http/protobuf");
}

#[test]
fn spans_arrive_over_http_from_a_current_thread_runtime() {
    delivers_everything(in_child!(|| current_thread().block_on(async { hundred_operations() })), "http/protobuf");
}

#[test]
fn a_second_init_is_an_error_with_advice_and_the_first_goes_on() {
    let child = in_child!(|| {
        let guard = start();
        let second = telemetry::init().unwrap_err().to_string();
        create_wallet();
        let lost = shutdown(&guard);
        let after_shutdown = telemetry::init().unwrap_err().to_string();
        json!({ "errors": [second, after_shutdown], "lost": lost })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    for error in report.result["errors"].as_array().unwrap() {
        let error = error.as_str().unwrap();
        assert!(error.contains("already initialised") && error.contains("once, in main"), "{error}");
    }
    assert_eq!(report.lost(), None);
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn of_64_threads_that_race_exactly_one_starts_telemetry() {
    let child = in_child!(|| {
        let threads: Vec<_> = (0..64).map(|_| std::thread::spawn(telemetry::init)).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let started = results.iter().filter(|result| result.is_ok()).count();
        json!({ "started": started, "refused": results.len() - started })
    });
    assert_eq!(child.run().result, json!({ "started": 1, "refused": 63 }));
}

#[test]
fn a_foreign_subscriber_is_an_error_with_advice_and_no_thread_stays_behind() {
    let child = in_child!(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let before = threads();
        let error = telemetry::init().unwrap_err().to_string();
        // A thread that was joined may still be listed for a moment.
        wait_for("the end of the threads", || (threads() <= before).then_some(()));
        json!({ "error": error })
    });
    let report = child.run();
    let error = report.result["error"].as_str().unwrap();
    assert!(error.contains("another tracing subscriber") && error.contains("remove"), "{error}");
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

fn sockets() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").expect("Linux");
    let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    links.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// `init` with the settings of the environment alone; its error.
fn init_from_environment() -> Value {
    json!({ "error": telemetry::init().err().map(|error| error.to_string()) })
}

#[test]
fn in_strict_mode_a_bad_variable_is_an_error_that_lists_the_allowed_values() {
    let child = in_child!(init_from_environment).env("IRONCORE_STRICT", "true");
    for (name, value, allowed) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost", "http://host:port"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "parentbased_traceidratio"),
        ("RUST_LOG", "info,,=x=", "directives"),
        ("IRONCORE_TRACE_FILTER", "my_crate=loud", "directives"),
    ] {
        let report = child.clone().env(name, value).run();
        let error = report.result["error"].as_str().unwrap_or_else(|| panic!("{report:?}"));
        assert!(error.starts_with(name) && error.contains(value) && error.contains(allowed), "{error}");
    }
}

#[test]
fn in_strict_mode_a_metrics_port_in_use_is_an_error_with_the_address_and_the_alternatives() {
    let child = in_child!(init_from_environment).env("IRONCORE_STRICT", "true");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let report = child.env("OTEL_EXPORTER_PROMETHEUS_PORT", &port).run();
    let error = report.result["error"].as_str().unwrap();
    for part in [port.as_str(), "OTEL_EXPORTER_PROMETHEUS_PORT", "scrape::router"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_absent_collector_does_not_fail_init_and_shutdown_reports_the_loss_without_waiting_for_its_limit() {
    let child = in_child!(|| {
        let guard = telemetry::init().unwrap();
        create_wallet();
        json!({ "lost": shutdown(&guard) })
    });
    let report = child.run();
    let lost = report.lost().unwrap();
    assert!(lost.starts_with("traces: 1 ended, 0 exported, 1 dropped (deadline 1); last failure: "), "{lost}");
}

/// Runs a scenario with a collector that accepts connections and never answers, for whose answer an export would wait
/// for an hour; looks at the report while it is still silent.
fn with_silent_collector(child: Child, assertions: impl FnOnce(support::Report)) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let child = child.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).env("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000");
    assertions(child.run());
    drop(silent);
}

#[test]
fn init_returns_before_anything_has_connected_to_the_collector() {
    let child = in_child!(|| {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        collector.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", collector.local_addr().unwrap());
        let guard = telemetry::init_with(telemetry::Config::new("init").endpoint(endpoint)).unwrap();
        let connected = collector.accept().is_ok();
        drop(guard);
        json!({ "connected": connected })
    });
    assert_eq!(child.run().result["connected"], false);
}

#[test]
fn init_and_shutdown_end_while_the_collector_is_still_silent() {
    let child = in_child!(|| {
        let guard = telemetry::init().unwrap();
        create_wallet();
        json!({ "lost": shutdown_within(&guard, Duration::from_millis(500)) })
    });
    with_silent_collector(child, |report| assert!(report.lost().is_some()));
}

#[test]
fn a_dropped_guard_gives_up_while_the_collector_is_silent_and_logs_the_loss() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        drop(guard);
        Value::Null
    });
    with_silent_collector(child, |report| {
        let last = report.log().pop().unwrap();
        assert_eq!(last["level"], "ERROR");
        assert!(last["report"].as_str().unwrap().contains("1 dropped (deadline 1)"), "{last}");
    });
}

#[test]
fn a_dropped_guard_still_delivers() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        drop(guard);
        Value::Null
    });
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).run();
    assert_eq!(receiver.spans().len(), 1);
}

#[test]
fn spans_wait_for_a_collector_that_comes_later() {
    let child = in_child!(hundred_operations);
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let reserved = refusing.local_addr().unwrap();
    let child = child.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{reserved}"));
    let child = child.env("OTEL_BSP_SCHEDULE_DELAY", "1");
    let later = std::thread::spawn(move || child.run());
    // The first attempt fails: its connection is closed.
    drop(refusing.accept().unwrap());
    drop(refusing);
    let receiver = Receiver::start_on(reserved).unwrap();
    let report = later.join().unwrap();
    assert_eq!(report.lost(), None);
    assert_eq!(receiver.spans().len(), 100);
}

/// Counts the threads and sockets that disabled telemetry adds.
fn added_by_disabled_telemetry() -> Value {
    let (threads_before, sockets_before) = (threads(), sockets());
    let guard = telemetry::init().unwrap();
    create_wallet();
    tracing::info!("not written");
    let added = json!({ "threads": threads() - threads_before, "sockets": sockets() - sockets_before });
    assert!(guard.shutdown(Duration::from_secs(1)).is_complete());
    added
}

#[test]
fn disabled_telemetry_has_no_thread_no_socket_and_no_line() {
    let report = in_child!(added_by_disabled_telemetry).env("OTEL_SDK_DISABLED", "true").run();
    assert_eq!(report.result, json!({ "threads": 0, "sockets": 0 }));
    assert!(report.lines.is_empty(), "{report:?}");
}

#[test]
fn the_kill_switch_works_whatever_else_is_set() {
    let report = in_child!(added_by_disabled_telemetry)
        .env("OTEL_SDK_DISABLED", "true")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317")
        .env("OTEL_PROPAGATORS", "xray")
        .run();
    assert_eq!(report.result["threads"], 0, "{report:?}");
}

#[test]
fn disabled_telemetry_records_no_request_and_no_operation() {
    let child = in_child!(|| {
        multi_thread().block_on(async {
            let guard = telemetry::init().unwrap();
            let app = axum::Router::new().layer(HttpTelemetryLayer::new());
            let _ = app.oneshot(Request::new(Body::empty())).await.unwrap();
            create_wallet();
            assert!(guard.shutdown(Duration::from_secs(1)).is_complete());
            json!({ "page": telemetry::scrape::render() })
        })
    });
    let report = child.env("OTEL_SDK_DISABLED", "true").run();
    assert_eq!(report.page(), "", "{report:?}");
}

#[test]
fn untrusted_callers_do_not_decide_what_is_sampled() {
    let child = in_child!(|| {
        multi_thread().block_on(async {
            let guard = start();
            let layer = HttpTelemetryLayer::new().boundary_with(|caller| match caller.method().as_str() {
                "PUT" => Boundary::Trusted,
                _ => Boundary::Public,
            });
            let app = axum::Router::new().layer(layer);
            let send_sampled = async |method: &str, id: u32| {
                let request = Request::builder()
                    .method(method)
                    .header("traceparent", format!("00-{id:032x}-00f067aa0ba902b7-01"))
                    .body(Body::empty());
                app.clone().oneshot(request.unwrap()).await.unwrap();
            };
            for id in 1..=1_000 {
                send_sampled("GET", id).await;
            }
            let after_untrusted = telemetry::scrape::render();
            send_sampled("PUT", 1_001).await;
            let page = telemetry::scrape::render();
            shutdown_at_once(&guard);
            json!({ "after_untrusted": after_untrusted, "page": page })
        })
    });
    let report = child.env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0").run();
    let ended = "telemetry_ended_total{signal=\"traces\"}";
    let after_untrusted = report.result["after_untrusted"].as_str().unwrap();
    assert!(after_untrusted.contains("} 1000"), "{after_untrusted}");
    assert_sample(after_untrusted, ended, 0);
    // The sampler follows the parent of a trusted caller.
    assert_sample(report.page(), ended, 1);
}

#[test]
fn baggage_is_accepted_from_trusted_callers_only_and_sent_only_where_enabled() {
    let child = in_child!(|| {
        multi_thread().block_on(async {
            let guard = start();
            let accepted = [accepted_baggage(Boundary::Public).await, accepted_baggage(Boundary::Trusted).await];
            let sent = [
                sent_baggage(false, "http://ledger.internal/").await,
                sent_baggage(true, "http://ledger.internal/").await,
                sent_baggage(true, "http://api.example.org/").await,
            ];
            shutdown_at_once(&guard);
            json!({ "accepted": accepted, "sent": sent })
        })
    });
    let report = child.env("OTEL_PROPAGATORS", "tracecontext,baggage").run();
    assert_eq!(report.result["accepted"], json!(["", "tenant=7"]), "from an untrusted caller, from a trusted one");
    assert_eq!(report.result["sent"], json!(["", "tenant=7", ""]), "disabled, enabled, to a host of others");
}

/// The baggage of a request that arrives at its handler.
async fn accepted_baggage(boundary: Boundary) -> String {
    let handler = axum::routing::get(async || Context::current().baggage().to_string());
    let app = axum::Router::new().route("/", handler).layer(HttpTelemetryLayer::new().boundary(boundary));
    let request = Request::get("/")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("baggage", "tenant=7")
        .body(Body::empty());
    text(app.oneshot(request.unwrap()).await.unwrap().into_body()).await
}

/// The baggage of the current context that a request carries to its peer.
async fn sent_baggage(enabled: bool, uri: &str) -> String {
    let layer = HttpClientTelemetryLayer::new("peer").send_baggage(enabled);
    let peer = service_fn(async |request: Request<Body>| {
        let baggage = request.headers().get("baggage").map(|value| value.to_str().unwrap().to_owned());
        Ok::<_, Infallible>(http::Response::new(Body::from(baggage.unwrap_or_default())))
    });
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let context = Context::new().with_baggage([KeyValue::new("tenant", "7")]);
    let response = layer.layer(peer).oneshot(request).with_context(context).await.unwrap();
    text(Body::new(response.into_body())).await
}

async fn text(body: Body) -> String {
    let body = axum::body::to_bytes(body, 1_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn spans_that_end_after_the_shutdown_are_counted_as_lost() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        let lost = shutdown(&guard);
        (0..10).for_each(|_| create_wallet());
        json!({ "lost": lost, "page": telemetry::scrape::render() })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    assert_sample(report.page(), r#"telemetry_ended_total{signal="traces"}"#, 11);
    assert_sample(report.page(), r#"telemetry_exported_total{signal="traces"}"#, 1);
    assert_sample(report.page(), r#"telemetry_dropped_total{signal="traces",reason="after_shutdown"}"#, 10);
}

#[test]
fn a_shutdown_without_a_limit_ends_when_everything_is_delivered() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        json!({ "lost": shutdown_within(&guard, Duration::MAX) })
    });
    let receiver = Receiver::start().unwrap();
    assert_eq!(child.exporting_to(&receiver).run().lost(), None);
}

#[test]
fn a_batch_that_the_collector_refuses_is_dropped_at_once_and_logged_once() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        wait_for("the refusal", || {
            let page = telemetry::scrape::render();
            page.contains("telemetry_dropped_total{signal=\"traces\",reason=\"refused\"} 1").then_some(())
        });
        json!({ "lost": shutdown(&guard) })
    });
    // Speaks HTTP and knows no path: every export is answered with 404, which OTLP forbids to try again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 8_192]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let report = child
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_BSP_SCHEDULE_DELAY", "1")
        .run();
    assert!(report.lost().unwrap().contains("0 exported, 1 dropped (refused 1)"), "{report:?}");
    let errors: Vec<_> = report.log().into_iter().filter(|line| line["level"] == "ERROR").collect();
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!((error["reason"].as_str(), error["dropped"].as_u64()), (Some("refused"), Some(1)));
    assert!(error["error"].as_str().unwrap().contains("404"), "{error}");
}

#[test]
fn an_idle_service_exports_nothing_even_when_everything_is_logged() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        std::thread::sleep(Duration::from_secs(3));
        json!({ "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child
        .exporting_to(&receiver)
        .env("RUST_LOG", "trace")
        .env("IRONCORE_TRACE_FILTER", "trace")
        .env("OTEL_METRICS_EXPORTER", "prometheus,otlp")
        // As many pushes and wake-ups as a minute has at the default intervals.
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .run();
    let names: Vec<_> = receiver.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["wallet.create"]);
    let after_start = report.log().into_iter().skip_while(|line| line["message"] != "telemetry started");
    let foreign =
        after_start.filter(|line| line["target"] != "ironcore_telemetry" && line["target"] != "business").count();
    assert_eq!(foreign, 0, "{:?}", report.lines);
}

#[test]
fn every_span_carries_the_resource_of_its_service() {
    let child = in_child!(hundred_operations);
    let receiver = Receiver::start().unwrap();
    let _ = child
        .exporting_to(&receiver)
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,team=wallet")
        .run();
    let span = receiver.spans().pop().unwrap();
    let value = |key: &str| {
        let found = span.resource.iter().find(|(name, _)| name == key);
        found.unwrap_or_else(|| panic!("no {key} in {:?}", span.resource)).1.clone()
    };
    assert_eq!(value("service.name"), "tests");
    assert_eq!(value("service.version"), "1.0.0");
    assert_eq!(value("deployment.environment.name"), "staging");
    assert_eq!(value("team"), "wallet");
    assert_eq!(value("telemetry.sdk.language"), "rust");
    assert!(!value("host.name").is_empty() && value("process.pid").parse::<u32>().is_ok());
    assert_eq!(value("service.instance.id").len(), 36);
}

#[test]
fn every_ended_span_is_queued_or_exported() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        let page = telemetry::scrape::render();
        json!({ "page": page, "lost": shutdown(&guard) })
    });
    let receiver = Receiver::start().unwrap();
    let report = child.exporting_to(&receiver).run();
    let page = report.page();
    assert_sample(page, r#"telemetry_ended_total{signal="traces"}"#, 1);
    let queued = support::sample(page, r#"telemetry_queued{signal="traces"}"#);
    let exported = support::sample(page, r#"telemetry_exported_total{signal="traces"}"#);
    assert!(support::is(queued + exported, 1), "{page}");
}
