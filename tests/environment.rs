//! The environment of a platform never keeps a service from starting: what is accepted, what is ignored and warned of,
//! and what strict mode makes of it.

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use ironcore_telemetry as telemetry;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use support::{
    Child, Receiver, Report, assert_sample, current_thread, in_child, multi_thread, shutdown, shutdown_at_once, start,
    wait_for,
};
use telemetry::{Boundary, Config, HttpClientTelemetryLayer, HttpTelemetryLayer, InitError};
use tower::{Layer as _, ServiceExt as _, service_fn};

#[telemetry::instrument_business]
fn create_wallet() {
    tracing::info!("inside");
}

/// Telemetry by the environment alone, with one operation; the error when it does not start.
fn one_operation() -> Value {
    match telemetry::init() {
        Ok(guard) => {
            create_wallet();
            shutdown_at_once(guard);
            Value::Null
        }
        Err(error) => json!(error.to_string()),
    }
}

/// The lines of the library itself at its start.
fn own_lines(report: &Report) -> Vec<Value> {
    report.log().into_iter().filter(|line| line["target"] == "ironcore_telemetry").collect()
}

fn started(report: &Report) -> Value {
    let started = own_lines(report).into_iter().find(|line| line["message"] == "telemetry started");
    started.unwrap_or_else(|| panic!("it has not started: {report:?}"))
}

fn warned(report: &Report) -> Vec<Value> {
    own_lines(report).into_iter().filter(|line| line["level"] == "WARN" && !line["setting"].is_null()).collect()
}

/// An environment as platforms set it: the variables, a setting in force as the start-up line shows it, and the
/// variables that are warned of.
type Row = (&'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

const ENVIRONMENTS: &[Row] = &[
    (&[("OTEL_TRACES_EXPORTER", "OTLP")], "traces=otlp(OTEL_TRACES_EXPORTER)", &[]),
    (&[("OTEL_TRACES_EXPORTER", "")], "traces=otlp(default)", &[]),
    (&[("OTEL_TRACES_EXPORTER", " None ")], "traces=none(OTEL_TRACES_EXPORTER)", &[]),
    (&[("OTEL_TRACES_EXPORTER", "zipkin")], "traces=otlp(default)", &["OTEL_TRACES_EXPORTER"]),
    (&[("OTEL_TRACES_EXPORTER", "otlp,console")], "traces=otlp(OTEL_TRACES_EXPORTER)", &["OTEL_TRACES_EXPORTER"]),
    (&[("OTEL_TRACES_SAMPLER", "Always_On")], "sampler=always_on(OTEL_TRACES_SAMPLER)", &[]),
    (&[("OTEL_TRACES_SAMPLER", "xray")], "sampler=parentbased_always_on(default)", &["OTEL_TRACES_SAMPLER"]),
    (
        &[("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio"), ("OTEL_TRACES_SAMPLER_ARG", "ten")],
        "sampler_ratio=1.0(default)",
        &["OTEL_TRACES_SAMPLER_ARG"],
    ),
    (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/protobuf")], "protocol=http/protobuf(OTEL_EXPORTER_OTLP_PROTOCOL)", &[]),
    (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], "protocol=grpc(default)", &["OTEL_EXPORTER_OTLP_PROTOCOL"]),
    (&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "\tGRPC")], "protocol=grpc(OTEL_EXPORTER_OTLP_TRACES_PROTOCOL)", &[]),
    (
        &[("OTEL_PROPAGATORS", "tracecontext,baggage,xray")],
        "propagators=tracecontext,baggage(OTEL_PROPAGATORS)",
        &["OTEL_PROPAGATORS"],
    ),
    (&[("OTEL_PROPAGATORS", "tracecontext,")], "propagators=tracecontext(OTEL_PROPAGATORS)", &[]),
    (&[("OTEL_PROPAGATORS", "b3,B3,b3")], "propagators=b3(OTEL_PROPAGATORS)", &[]),
    (&[("OTEL_PROPAGATORS", "ottrace")], "propagators=tracecontext(default)", &["OTEL_PROPAGATORS"]),
    (&[("OTEL_PROPAGATORS", "NONE")], "propagators=none(OTEL_PROPAGATORS)", &[]),
    (&[("OTEL_SDK_DISABLED", "1")], "traces=otlp(default)", &["OTEL_SDK_DISABLED"]),
    (&[("OTEL_SDK_DISABLED", "")], "traces=otlp(default)", &[]),
    (&[("OTEL_SDK_DISABLED", "False")], "traces=otlp(default)", &[]),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "HTTP://localhost:4317")],
        "endpoint=http://localhost:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        &[],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1]:4317")],
        "endpoint=http://[::1]:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        &[],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")],
        "endpoint=https://collector:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        &[],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")],
        "endpoint=http://collector:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        &[],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "tcp://collector:4317")],
        "endpoint=http://localhost:4317(default)",
        &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://::1:4317")],
        "endpoint=http://localhost:4317(default)",
        &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://$(HOST_IP):4317")],
        "endpoint=http://localhost:4317(default)",
        &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ),
    (
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example.org")],
        "endpoint=https://otlp.example.org(OTEL_EXPORTER_OTLP_ENDPOINT)",
        &[],
    ),
    (&[("OTEL_LOGS_EXPORTER", "otlp")], "logs=console(OTEL_LOGS_EXPORTER)", &[]),
    (&[("OTEL_LOGS_EXPORTER", "Console")], "logs=console(OTEL_LOGS_EXPORTER)", &[]),
    (&[("OTEL_LOGS_EXPORTER", "stdout")], "logs=console(default)", &["OTEL_LOGS_EXPORTER"]),
    (&[("OTEL_METRICS_EXPORTER", "otlp, Prometheus")], "metrics=otlp,prometheus(OTEL_METRICS_EXPORTER)", &[]),
    (&[("OTEL_METRICS_EXPORTER", "statsd")], "metrics=prometheus(default)", &["OTEL_METRICS_EXPORTER"]),
    (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], "compression=gzip(OTEL_EXPORTER_OTLP_COMPRESSION)", &[]),
    (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "snappy")], "compression=none(default)", &["OTEL_EXPORTER_OTLP_COMPRESSION"]),
    (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")], "export_timeout_ms=10000(default)", &["OTEL_EXPORTER_OTLP_TIMEOUT"]),
    (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "-1")], "export_timeout_ms=10000(default)", &["OTEL_EXPORTER_OTLP_TIMEOUT"]),
    (&[("OTEL_EXPORTER_OTLP_TIMEOUT", " 2500 ")], "export_timeout_ms=2500(OTEL_EXPORTER_OTLP_TIMEOUT)", &[]),
    (&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")], "queue_size=16384(default)", &["OTEL_BSP_MAX_QUEUE_SIZE"]),
    (&[("OTEL_BSP_MAX_QUEUE_SIZE", "1e6")], "queue_size=16384(default)", &["OTEL_BSP_MAX_QUEUE_SIZE"]),
    (
        &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "184467440737095516150")],
        "batch_size=512(default)",
        &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
    ),
    (&[("OTEL_BSP_SCHEDULE_DELAY", "5000ms")], "queue_delay_ms=1000(default)", &["OTEL_BSP_SCHEDULE_DELAY"]),
    (&[("OTEL_EXPORTER_PROMETHEUS_HOST", "[::1]")], "metrics_host=::1(OTEL_EXPORTER_PROMETHEUS_HOST)", &[]),
    (&[("OTEL_EXPORTER_PROMETHEUS_HOST", "*")], "metrics_host=localhost(default)", &["OTEL_EXPORTER_PROMETHEUS_HOST"]),
    (&[("OTEL_RESOURCE_ATTRIBUTES", "team=a,region")], "traces=otlp(default)", &["OTEL_RESOURCE_ATTRIBUTES"]),
    (&[("OTEL_RESOURCE_ATTRIBUTES", ",")], "traces=otlp(default)", &[]),
    (&[("OTEL_EXPORTER_OTLP_HEADERS", "secret-token")], "traces=otlp(default)", &["OTEL_EXPORTER_OTLP_HEADERS"]),
    (
        &[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "unlimited")],
        "span_attributes=64(default)",
        &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"],
    ),
    (&[("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "7")], "event_attributes=7(OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT)", &[]),
    (&[("RUST_LOG", "info,tests=loud")], "log_filter=info(RUST_LOG)", &["RUST_LOG"]),
    (&[("RUST_LOG", "=x=")], "log_filter=info,opentelemetry=warn(default)", &["RUST_LOG"]),
    (&[("IRONCORE_TRACE_FILTER", "my_crate=loud")], "trace_filter=info(default)", &["IRONCORE_TRACE_FILTER"]),
    (
        &[("IRONCORE_RESOURCE_DETECTORS", "OS,gpu")],
        "resource_detectors=os(IRONCORE_RESOURCE_DETECTORS)",
        &["IRONCORE_RESOURCE_DETECTORS"],
    ),
    (&[("IRONCORE_STRICT", "1")], "strict=false(default)", &["IRONCORE_STRICT"]),
    (&[("OTEL_EXPORTER_OTLP_INSECURE", "perhaps")], "traces=otlp(default)", &["OTEL_EXPORTER_OTLP_INSECURE"]),
];

#[test]
fn each_environment_of_a_platform_starts_and_says_what_is_ignored() {
    let child = in_child!(one_operation);
    assert!(ENVIRONMENTS.len() >= 42);
    for (variables, in_force, ignored) in ENVIRONMENTS {
        let report = variables.iter().fold(child.clone(), |child, (name, value)| child.env(name, value)).run();
        assert_eq!(report.result, Value::Null, "{variables:?}");
        let started = started(&report);
        let settings = format!(" {} ", started["settings"].as_str().unwrap());
        assert!(settings.contains(&format!(" {in_force} ")), "{variables:?}: {in_force} in {settings}");
        let warned = warned(&report);
        let names: Vec<_> = warned.iter().map(|line| line["setting"].as_str().unwrap()).collect();
        assert_eq!(names, *ignored, "{variables:?}: {warned:?}");
        assert_eq!(started["ignored"].as_str().unwrap_or_default(), ignored.join(","), "{variables:?}");
        for line in &warned {
            let texts = ["value", "allowed", "used"].map(|key| line[key].as_str().unwrap_or_default());
            assert!(texts.iter().all(|text| !text.is_empty()), "{line}");
        }
        assert!(!report.lines.iter().any(|line| line.contains("secret-token")), "{report:?}");
    }
}

#[test]
fn in_strict_mode_each_value_that_would_be_ignored_is_an_error() {
    let child = in_child!(one_operation).env("IRONCORE_STRICT", "True");
    for (variables, _, ignored) in ENVIRONMENTS {
        if variables[0].0 == "IRONCORE_STRICT" {
            continue;
        }
        let report = variables.iter().fold(child.clone(), |child, (name, value)| child.env(name, value)).run();
        match ignored {
            [] => assert_eq!(report.result, Value::Null, "{variables:?}"),
            ignored => {
                let error = report.result.as_str().unwrap_or_else(|| panic!("{variables:?} is accepted: {report:?}"));
                assert!(error.starts_with(&format!("{}=", ignored[0])), "{error}");
                assert!(!error.contains("secret-token"), "{error}");
            }
        }
    }
}

#[test]
fn strict_mode_can_be_set_in_code_too() {
    let child = in_child!(|| {
        let error = telemetry::init_with(Config::new("strict").strict()).unwrap_err();
        json!({ "is_setting": matches!(error, InitError::InvalidSetting { .. }), "error": error.to_string() })
    });
    let report = child.env("OTEL_PROPAGATORS", "tracecontext,xray").env("IRONCORE_STRICT", "false").run();
    assert_eq!(report.result["is_setting"], true, "{report:?}");
    assert!(report.result["error"].as_str().unwrap().starts_with("OTEL_PROPAGATORS="), "{report:?}");
}

#[test]
fn bytes_that_are_not_utf_8_are_ignored_and_warned_of() {
    // The variable is set in the scenario: that of a child is text.
    let child = in_child!(|| {
        let value = std::ffi::OsStr::from_bytes(b"caf\xe9");
        let program = std::env::current_exe().unwrap();
        let mut again = std::process::Command::new(program);
        again.args(["bytes_that_are_not_utf_8_are_ignored_and_warned_of", "--exact", "--nocapture", "--quiet"]);
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            for name in
                ["OTEL_SERVICE_NAME", "OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT"]
            {
                again.env(name, value);
            }
            let output = again.output().unwrap();
            return json!(String::from_utf8_lossy(&output.stdout));
        }
        one_operation()
    });
    let report = child.run();
    let lines = report.result.as_str().unwrap().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<_> = lines.collect();
    let warned =
        |name: &str| lines.iter().any(|line| line["setting"] == name && line["allowed"] == "use text in UTF-8");
    for name in ["OTEL_SERVICE_NAME", "OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        assert!(warned(name), "{name}: {lines:?}");
    }
}

#[test]
fn variables_that_are_not_acted_on_are_named_once_at_the_start() {
    let report = in_child!(one_operation)
        .env("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/etc/ssl/ca.pem")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "1000")
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .env("OTEL_LOGS_EXPORTER", "otlp")
        .run();
    let names = "OTEL_BLRP_SCHEDULE_DELAY,OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE,\
                 OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE,OTEL_LOGS_EXPORTER";
    assert_eq!(started(&report)["not_acted_on"], names);
    let lines: Vec<_> = own_lines(&report).into_iter().filter(|line| !line["variables"].is_null()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0]["level"].as_str(), lines[0]["variables"].as_str()), (Some("WARN"), Some(names)));
    assert!(started(&report)["ignored"].is_null(), "{report:?}");
}

/// Writes a configuration file of its own for a test.
fn config_file(name: &str, text: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("environment");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn a_configuration_file_stands_in_for_the_variables() {
    let child = in_child!(|| {
        let guard = telemetry::init().unwrap();
        create_wallet();
        json!({ "lost": shutdown(guard) })
    });
    let receiver = Receiver::start().unwrap();
    let text = r#"file_format: "1.1"
resource:
  attributes: [{ name: service.name, value: "${NAME:-nobody}" }, { name: team, value: wallet }]
propagator: { composite_list: tracecontext }
tracer_provider:
  processors:
    - batch:
        schedule_delay: 50
        exporter: { otlp_grpc: { endpoint: "${COLLECTOR}" } }
"#;
    let path = config_file("whole.yaml", text);
    let report = child
        .env("OTEL_CONFIG_FILE", &path)
        .env("NAME", "by_file")
        .env("COLLECTOR", &receiver.grpc_url())
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_SERVICE_NAME", "by_variable")
        .run();
    assert_eq!(report.lost(), None);
    let resource = receiver.spans().pop().unwrap().resource;
    for (key, value) in [("service.name", "by_file"), ("team", "wallet")] {
        assert!(resource.contains(&(key.to_owned(), value.to_owned())), "{key}={value} in {resource:?}");
    }
    let settings = started(&report)["settings"].as_str().unwrap().to_owned();
    let endpoint = format!("endpoint={}({path}:9)", receiver.grpc_url());
    assert!(settings.contains(&endpoint), "{endpoint} in {settings}");
    assert!(settings.contains("metrics=none") && !settings.contains("(OTEL_"), "{settings}");
}

#[test]
fn a_configuration_file_with_an_unknown_key_is_an_error_with_its_line_and_column() {
    let child = in_child!(one_operation);
    let path = config_file("unknown.yaml", "file_format: \"1.1\"\npropagator:\n  composit: []\n");
    let report = child.env("OTEL_CONFIG_FILE", &path).run();
    let error = report.result.as_str().unwrap_or_else(|| panic!("it is accepted: {report:?}"));
    let expected = format!("OTEL_CONFIG_FILE=\"{path}:3:3\" is not usable: propagator.composit is not supported");
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn only_the_headers_that_are_in_force_are_sent() {
    let child = in_child!(|| {
        let guard = telemetry::init_with(Config::new("headers").header("x-tenant", "seven")).unwrap();
        create_wallet();
        json!({ "lost": shutdown(guard) })
    });
    // Reads one export over HTTP/1.1, and returns its head.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let head = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = Vec::new();
        let mut buffer = [0; 4_096];
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            read.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&read).to_ascii_lowercase()
    });
    let report = child
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=other,authorization=none")
        .run();
    assert_eq!(report.lost(), None);
    let head = head.join().unwrap();
    assert!(
        head.contains("x-tenant: seven\r\n") && head.contains("content-type: application/x-protobuf\r\n"),
        "{head}"
    );
    assert!(!head.contains("authorization") && !head.contains("other"), "{head}");
}

#[test]
fn limits_of_spans_come_from_the_environment() {
    let child = in_child!(|| {
        let guard = start();
        create_wallet();
        json!({ "lost": shutdown(guard) })
    });
    let receiver = Receiver::start().unwrap();
    let attributes = |receiver: &Receiver| receiver.spans().pop().unwrap().attributes.len();
    let _ = child.clone().exporting_to(&receiver).run();
    assert_eq!(attributes(&receiver), 4);
    let receiver = Receiver::start().unwrap();
    let _ = child.exporting_to(&receiver).env("OTEL_ATTRIBUTE_COUNT_LIMIT", "2").run();
    assert_eq!(attributes(&receiver), 2);
}

/// What one request sees and sends on: of a caller whose trace is continued, and of nobody.
fn requests_without_exporter() -> Value {
    multi_thread().block_on(async {
        let guard = start();
        let of_caller = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let unsampled = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let sent = json!({
            "continued": sent_on(of_caller).await,
            "unsampled": sent_on(unsampled).await,
            "own": sent_on(None).await,
        });
        let page = telemetry::scrape::render();
        json!({ "sent": sent, "page": page, "lost": shutdown(guard) })
    })
}

/// The `traceparent` and `tracestate` that a request on behalf of this one carries.
async fn sent_on(traceparent: Option<&str>) -> [String; 2] {
    let handler = axum::routing::get(async || {
        create_wallet();
        let peer = service_fn(async |request: Request<Body>| {
            let header = |name: &str| {
                let value = request.headers().get(name);
                value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
            };
            let both = format!("{} {}", header("traceparent"), header("tracestate"));
            Ok::<_, Infallible>(Response::new(Body::from(both)))
        });
        let request = Request::get("http://ledger.internal/").body(Body::empty()).unwrap();
        let response = HttpClientTelemetryLayer::new("ledger").layer(peer).oneshot(request).await.unwrap();
        Body::new(response.into_body())
    });
    let app = axum::Router::new().route("/", handler).layer(HttpTelemetryLayer::new().boundary(Boundary::Trusted));
    let request = traceparent
        .into_iter()
        .fold(Request::get("/").header("tracestate", "a=1"), |request, value| request.header("traceparent", value));
    let response = app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let (parent, state) = text.split_once(' ').unwrap();
    [parent.to_owned(), state.to_owned()]
}

#[test]
fn without_an_exporter_traces_have_ids_and_their_context_is_passed_on() {
    let receiver = Receiver::start().unwrap();
    let report = in_child!(requests_without_exporter).exporting_to(&receiver).env("OTEL_TRACES_EXPORTER", "none").run();
    let sent = |which: &str, part: usize| report.result["sent"][which][part].as_str().unwrap().to_owned();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-";
    // The flag is the caller's; the span is a new one of this service.
    for (which, flag) in [("continued", "-01"), ("unsampled", "-00")] {
        let parent = sent(which, 0);
        assert!(parent.starts_with(trace) && parent.ends_with(flag), "{parent}");
        assert!(!parent.contains("b7ad6b7169203331"), "{parent}");
        assert_eq!(sent(which, 1), "a=1");
    }
    // A trace that begins here is sampled as the sampler decides.
    assert!(is_sampled(&sent("own", 0)), "{}", sent("own", 0));
    let inside: Vec<_> = report.log().into_iter().filter(|line| line["message"] == "inside").collect();
    assert_eq!(inside.len(), 3);
    for line in &inside {
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
        assert_eq!(line["span_id"].as_str().map(str::len), Some(16), "{line}");
        assert_eq!(line["operation"], "wallet.create");
    }
    assert_eq!(inside[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert!(!report.page().contains("telemetry_queued{signal=\"traces\"}"), "{}", report.page());
    assert_eq!(report.lost(), None);
    assert!(receiver.spans().is_empty());
}

#[test]
fn without_an_exporter_the_sampler_still_decides_what_the_flag_says() {
    let child = in_child!(requests_without_exporter).env("OTEL_TRACES_EXPORTER", "none");
    for (sampler, own, unsampled) in
        [("always_on", true, true), ("always_off", false, false), ("parentbased_always_off", false, false)]
    {
        let report = child.clone().env("OTEL_TRACES_SAMPLER", sampler).run();
        let sent = |which: &str| report.result["sent"][which][0].as_str().unwrap().to_owned();
        assert_eq!(is_sampled(&sent("own")), own, "{sampler}: {}", sent("own"));
        assert_eq!(is_sampled(&sent("unsampled")), unsampled, "{sampler}: {}", sent("unsampled"));
    }
}

fn is_sampled(traceparent: &str) -> bool {
    let flags = traceparent.rsplit('-').next().and_then(|flags| u8::from_str_radix(flags, 16).ok());
    flags.unwrap_or_else(|| panic!("no traceparent: {traceparent:?}")) & 1 == 1
}

#[test]
fn without_an_exporter_spans_of_tracing_and_operations_are_one_trace() {
    let child = in_child!(|| {
        let guard = start();
        tracing::info_span!("outer").in_scope(|| {
            tracing::info!("around");
            create_wallet();
        });
        shutdown_at_once(guard);
        Value::Null
    });
    let report = child.env("OTEL_TRACES_EXPORTER", "none").run();
    let line = |message: &str| {
        let found = report.log().into_iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("no {message}: {report:?}"))
    };
    let (around, inside) = (line("around"), line("inside"));
    assert_eq!(around["trace_id"], inside["trace_id"]);
    assert!(around["trace_id"].is_string() && around["span_id"].is_string(), "{around}");
}

/// Telemetry on a port that another process has, until that one lets go of it.
fn page_after_the_port_is_free() -> Value {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let guard = telemetry::init_with(Config::new("second").metrics_listener(address)).unwrap();
    let while_taken = telemetry::scrape::render();
    drop(taken);
    let page = wait_for("the page", || page_at(address));
    shutdown_at_once(guard);
    json!({ "while_taken": while_taken, "page": page, "port": address.port() })
}

fn page_at(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    page.starts_with("HTTP/1.1 200").then_some(page)
}

#[test]
fn a_port_that_is_taken_degrades_telemetry_until_it_is_free() {
    let report = in_child!(page_after_the_port_is_free).run();
    let degraded = r#"telemetry_degraded{component="metrics_listener"}"#;
    assert_sample(report.result["while_taken"].as_str().unwrap(), degraded, 1);
    assert_sample(report.page(), degraded, 0);
    let errors: Vec<_> = report.log().into_iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let line = errors[0].to_string();
    let port = report.result["port"].to_string();
    assert!(line.contains("OTEL_EXPORTER_PROMETHEUS_PORT") && line.contains(&port), "{line}");
    assert!(own_lines(&report).iter().any(|line| line["message"] == "/metrics is served now"), "{report:?}");
}

#[test]
fn a_port_that_is_free_degrades_nothing() {
    let report = in_child!(|| {
        let guard = start();
        let page = telemetry::scrape::render();
        shutdown_at_once(guard);
        json!({ "page": page })
    });
    assert_sample(report.run().page(), r#"telemetry_degraded{component="metrics_listener"}"#, 0);
}

/// The resource attributes of spans, and `target_info`.
fn resources(child: &Child) -> (Vec<(String, String)>, String) {
    let receiver = Receiver::start().unwrap();
    let report = child.clone().exporting_to(&receiver).run();
    let of_spans = receiver.spans().pop().unwrap().resource;
    let target_info = report.page().lines().find(|line| line.starts_with("target_info")).unwrap().to_owned();
    (of_spans, target_info)
}

#[test]
fn the_resource_names_the_surroundings_and_what_is_configured_wins() {
    let child = in_child!(|| {
        let guard = start();
        current_thread().block_on(async { create_wallet() });
        let page = telemetry::scrape::render();
        json!({ "page": page, "lost": shutdown(guard) })
    });
    let child = child
        .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .env("POD_NAME", "wallets-7")
        .env("K8S_NAMESPACE_NAME", "payments")
        .env("NODE_NAME", "node-3")
        .env("AWS_LAMBDA_FUNCTION_NAME", "pay")
        .env("AWS_REGION", "eu-west-1")
        .env("OTEL_RESOURCE_ATTRIBUTES", "k8s.node.name=mine");
    let (of_spans, target_info) = resources(&child);
    for (key, value) in [
        ("k8s.pod.name", "wallets-7"),
        ("k8s.namespace.name", "payments"),
        ("k8s.node.name", "mine"),
        ("cloud.platform", "aws_lambda"),
        ("cloud.region", "eu-west-1"),
        ("os.type", "linux"),
    ] {
        assert!(of_spans.contains(&(key.to_owned(), value.to_owned())), "{key}={value} in {of_spans:?}");
        let label = format!("{}=\"{value}\"", key.replace('.', "_"));
        assert!(target_info.contains(&label), "{label} in {target_info}");
    }
    assert!(of_spans.iter().any(|(key, _)| key == "process.pid"), "{of_spans:?}");
    assert!(!target_info.contains("process_pid"), "{target_info}");

    let (of_spans, target_info) = resources(&child.env("IRONCORE_RESOURCE_DETECTORS", "none"));
    for key in ["host.name", "os.type", "process.pid", "k8s.pod.name", "cloud.platform"] {
        assert!(!of_spans.iter().any(|(name, _)| name == key), "{key} in {of_spans:?}");
        assert!(!target_info.contains(&key.replace('.', "_")), "{key} in {target_info}");
    }
    assert!(target_info.contains("k8s_node_name=\"mine\""), "{target_info}");
}
