//! Files in the schema of OpenTelemetry: what each key does, and how what cannot be done is refused.

use super::{ConfigFile, values};
use crate::config::settings::{Environment, Settings};
use crate::config::{Config, Detector, Histograms, Propagator, Protocol, Sampler, Sampling, Temporality};
use crate::error::InitError;
use std::path::PathBuf;
use std::time::Duration;

const FEATURES: &[&str] = &["otlp-grpc", "otlp-http", "tls", "prometheus", "json-logs"];

/// A file for one test, gone with it.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("ironcore-{}-{:x}.yaml", std::process::id(), rand::random::<u64>()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The settings by a file, beside these variables.
fn resolve(text: &str, env: &[(&str, &str)]) -> Result<Option<Settings>, InitError> {
    let file = File::new(text);
    let path = file.0.to_str().unwrap();
    let variable = |name: &str| {
        let set = env.iter().copied().chain([("OTEL_CONFIG_FILE", path)]);
        let found = set.into_iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.to_owned())
    };
    let environment = Environment { variable: &variable, check_directive: |_| Ok(()) };
    let settings = Settings::resolve_for(FEATURES, &Config::default(), environment);
    // The folder differs from run to run.
    settings.map(|settings| {
        settings.map(|settings| Settings { report: settings.report.replace(path, "otel.yaml"), ..settings })
    })
}

fn by_file(text: &str) -> Settings {
    resolve(text, &[]).unwrap().unwrap()
}

/// The line and the column of what is refused, and the message.
fn fault(text: &str) -> (String, String) {
    let fault = values(text, &|_| None).unwrap_err();
    (fault.place.to_string(), fault.allowed)
}

const WHOLE: &str = r#"
file_format: "1.1"
disabled: false
log_level: info
resource:
  attributes:
    - name: service.name
      value: ${SERVICE:-wallets}
    - name: team
      value: "a, b=c"
    - name: replicas
      value: 3
      type: int
  attributes_list: team=low,service.version=2
  detection/development:
    detectors: [{ service: }, { host: }, { container: {} }]
attribute_limits:
  attribute_value_length_limit:
  attribute_value_depth_limit: 64
  attribute_count_limit: 50
propagator:
  composite:
    - tracecontext:
    - baggage:
  composite_list: b3,tracecontext
tracer_provider:
  processors:
    - batch:
        schedule_delay: 250
        export_timeout: 4000
        max_queue_size: 100
        exporter:
          otlp_http:
            endpoint: http://collector:4318/v1/traces
            tls:
              ca_file: ${CA}
            headers:
              - name: authorization
                value: Bearer ${TOKEN}
            headers_list: authorization=other,tenant=seven
            compression: none
            encoding: protobuf
            timeout: 9000
  limits:
    event_count_limit: 7
  sampler:
    parent_based:
      root:
        trace_id_ratio_based:
          ratio: 0.25
      remote_parent_sampled: { always_on: }
meter_provider:
  readers:
    - periodic:
        interval: 5000
        exporter:
          otlp_grpc:
            tls: { insecure: true }
            temporality_preference: low_memory
            default_histogram_aggregation: base2_exponential_bucket_histogram
    - pull:
        exporter:
          prometheus/development: { host: 127.0.0.1, port: 9465 }
  exemplar_filter: always_off
logger_provider:
  processors:
    - simple: { exporter: { console: } }
"#;

#[test]
fn a_whole_file_is_honoured_and_each_value_has_its_line() {
    let env = [
        ("TOKEN", "hunter2"),
        ("OTEL_SERVICE_NAME", "by_env"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("RUST_LOG", "debug"),
    ];
    let settings = resolve(WHOLE, &env).unwrap().unwrap();
    assert_eq!(settings.service.name, "by_env", "the detector `service` reads the variable");
    assert_eq!(settings.service.version, "2");
    let attributes = [("team", "a, b=c"), ("replicas", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let last = |key: &str| settings.service.attributes.iter().rev().find(|(name, _)| name == key).cloned();
    assert_eq!(attributes.each_ref().map(|(key, _)| last(key).unwrap()), attributes);
    assert_eq!(settings.detectors, [Detector::Host, Detector::Os, Detector::Container]);
    assert_eq!(settings.propagators, [Propagator::TraceContext, Propagator::Baggage, Propagator::B3]);
    assert_eq!(settings.sampler, Sampler { root: Sampling::Ratio(0.25), follows_parent: true });
    assert_eq!((settings.limits.attributes, settings.limits.events, settings.limits.links), (50, 7, 128));
    let queue = settings.queue;
    assert_eq!((queue.capacity, queue.batch, queue.delay), (100, 512, Duration::from_millis(250)));

    let traces = settings.traces.as_ref().unwrap();
    assert_eq!(
        (traces.protocol, traces.endpoint.as_str()),
        (Protocol::HttpProtobuf, "http://collector:4318/v1/traces")
    );
    assert_eq!(traces.timeout, Duration::from_secs(4), "the shorter of the two limits");
    let headers: Vec<_> = traces.headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(headers, [("tenant", "seven"), ("authorization", "Bearer hunter2")]);
    let push = settings.metrics_push.as_ref().unwrap();
    assert_eq!((push.otlp.protocol, push.otlp.endpoint.as_str()), (Protocol::Grpc, "http://localhost:4317"));
    assert_eq!((push.interval, push.timeout), (Duration::from_secs(5), Duration::from_secs(30)));
    assert_eq!((push.temporality, push.histograms), (Temporality::LowMemory, Histograms::Exponential));
    assert!(!settings.exemplars);
    assert_eq!(settings.metrics_listener, Some("127.0.0.1:9465".parse().unwrap()));
    assert!(settings.log_lines.is_some());

    for shown in [
        "traces=otlp(otel.yaml:33)",
        "endpoint=http://collector:4318/v1/traces(otel.yaml:34)",
        "queue_delay_ms=250(otel.yaml:29)",
        "headers=[REDACTED](otel.yaml:34)",
        "span_events=7(otel.yaml:45)",
        "log_filter=debug(RUST_LOG)",
    ] {
        assert!(settings.report.contains(shown), "{shown} in {}", settings.report);
    }
    assert!(!settings.report.contains("hunter2"), "{}", settings.report);
    assert!(settings.notices.ignored.is_empty() && settings.notices.not_acted_on.is_empty(), "{:?}", settings.notices);
}

#[test]
fn the_file_of_the_readme_is_honoured() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let begins = readme.find("file_format: ").unwrap();
    let text = readme[begins..].split_once("```").unwrap().0;
    let settings = by_file(text);
    assert_eq!(settings.service.name, "wallets");
    assert_eq!(settings.sampler, Sampler { root: Sampling::Ratio(0.1), follows_parent: true });
    assert_eq!(settings.traces.unwrap().endpoint, "http://localhost:4317");
    assert_eq!(settings.metrics_listener, Some("127.0.0.1:9464".parse().unwrap()));
}

#[test]
fn what_is_left_out_is_as_the_schema_has_it_and_the_environment_is_ignored() {
    let env = [
        ("OTEL_TRACES_EXPORTER", "?"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
    ];
    let settings = resolve("file_format: \"1.0\"", &env).unwrap().unwrap();
    assert!(settings.traces.is_none() && settings.metrics_push.is_none() && !settings.prometheus);
    assert!(settings.propagators.is_empty() && settings.detectors.is_empty());
    assert!(settings.log_lines.is_some(), "the lines of `tracing` are no matter of a logger provider");
    assert!(settings.notices.ignored.is_empty() && settings.notices.not_acted_on.is_empty(), "{:?}", settings.notices);
    let provider = "file_format: \"1.1\"\ntracer_provider:\n  processors: [{ batch: { exporter: { otlp_grpc: } } }]\n";
    let settings = by_file(provider);
    assert_eq!(settings.sampler, Sampler { root: Sampling::Always, follows_parent: true });
    assert_eq!((settings.queue.capacity, settings.queue.delay), (2_048, Duration::from_secs(5)));
    let traces = settings.traces.unwrap();
    assert_eq!((traces.endpoint.as_str(), traces.timeout), ("http://localhost:4317", Duration::from_secs(10)));
}

#[test]
fn tls_and_compression_are_settings_of_an_exporter() {
    let text = "file_format: \"1.1\"\ntracer_provider:\n  processors: [{ batch: { exporter: { otlp_grpc: { \
                endpoint: 'collector:4317', compression: gzip, \
                tls: { ca_file: ca.pem, cert_file: me.pem, key_file: me.key, insecure: true } } } } }]\n";
    let traces = by_file(text).traces.unwrap();
    assert_eq!((traces.endpoint.as_str(), traces.compressed), ("http://collector:4317", true));
    assert!(traces.tls.all().map(|path| path.to_str().unwrap()).eq(["ca.pem", "me.pem", "me.key"]));
}

#[test]
fn a_time_limit_of_zero_is_none() {
    for (whole, own, milliseconds) in [
        ("0", "0", 3_600_000),
        ("0", "700", 700),
        ("700", "0", 700),
        ("", "0", 30_000),
        ("0", "", 10_000),
        ("600", "700", 600),
    ] {
        let exporter = format!("exporter: {{ otlp_grpc: {{ timeout: {own} }} }}");
        let text = format!(
            "file_format: \"1.1\"\ntracer_provider:\n  processors: [{{ batch: {{ export_timeout: {whole}, {exporter} }} }}]\n\
             meter_provider:\n  readers: [{{ periodic: {{ timeout: {whole}, {exporter} }} }}]\n"
        );
        let settings = by_file(&text);
        let push = settings.metrics_push.unwrap();
        let limits = [settings.traces.unwrap().timeout, push.otlp.timeout];
        assert_eq!(limits, [Duration::from_millis(milliseconds); 2], "{whole} and {own}");
        let whole = match whole {
            "" => 30_000,
            "0" => 3_600_000,
            limit => limit.parse().unwrap(),
        };
        assert_eq!(push.timeout, Duration::from_millis(whole));
    }
}

#[test]
fn a_file_can_disable_telemetry() {
    assert!(resolve("file_format: \"1.1\"\ndisabled: ${OFF}", &[("OFF", "true")]).unwrap().is_none());
    assert!(resolve("file_format: \"1.1\"\ndisabled: ${OFF:-false}", &[]).unwrap().is_some());
}

#[test]
fn samplers_are_read_as_the_schema_writes_them() {
    let sampler = |text: &str| {
        let processors = "{ processors: [], sampler: ";
        by_file(&format!("file_format: \"1.1\"\ntracer_provider: {processors}{text} }}")).sampler
    };
    assert_eq!(sampler("{ always_off: }"), Sampler { root: Sampling::Never, follows_parent: false });
    assert_eq!(sampler("{ always_on: {} }"), Sampler { root: Sampling::Always, follows_parent: false });
    assert_eq!(sampler("{ trace_id_ratio_based: }"), Sampler { root: Sampling::Ratio(1.0), follows_parent: false });
    assert_eq!(sampler("{ parent_based: }"), Sampler { root: Sampling::Always, follows_parent: true });
    let root = "{ parent_based: { root: { always_off: }, local_parent_not_sampled: { always_off: } } }";
    assert_eq!(sampler(root), Sampler { root: Sampling::Never, follows_parent: true });
}

/// A part of a file below its format, the place of what is refused, and a part of the message.
const REFUSED: &[(&str, &str, &str)] = &[
    ("tracer_provider: [", "3:1", "not YAML"),
    ("a: &x 1\nb: *x", "3:4", "aliases"),
    ("disabled: !!bool true", "2:11", "tags"),
    ("disabled: true\ndisabled: false", "3:1", "twice"),
    ("disabled: maybe", "2:11", "true or false"),
    ("tracer: {}", "2:1", "tracer is not supported; use one of file_format"),
    ("propagator:\n  kind: b3", "3:3", "propagator.kind is not supported; use one of composite, composite_list"),
    ("log_level: debug", "2:12", "only info"),
    ("distribution: { x: {} }", "2:15", "distribution"),
    ("instrumentation/development: { general: {} }", "2:30", "not supported"),
    ("resource: { schema_url: x }", "2:25", "resource.schema_url"),
    ("resource: { attributes: [{ name: a }] }", "2:26", "resource.attributes[0]: a value is missing"),
    ("resource: { attributes: [{ name: a, value: [1] }] }", "2:44", "single value"),
    ("resource: { detection/development: { detectors: [{ gpu: }] } }", "2:50", "service, host, process, container"),
    ("tracer_provider: {}", "2:18", "processors are missing"),
    ("tracer_provider: { processors: [{ simple: {} }] }", "2:35", "tracer_provider.processors[0].simple"),
    ("tracer_provider: { processors: [{ batch: {} }] }", "2:42", "an exporter is missing"),
    ("tracer_provider: { processors: [{ batch: { exporter: { console: } } }] }", "2:54", "console is not supported"),
    (
        "tracer_provider: { processors: [{ batch: { exporter: { otlp_http: { tls: { insecure: true } } } } }] }",
        "2:76",
        "use one of ca_file, cert_file, key_file",
    ),
    (
        "tracer_provider: { processors: [{ batch: { exporter: { otlp_http: { compression: zstd } } } }] }",
        "2:82",
        "none or gzip",
    ),
    (
        "tracer_provider: { processors: [{ batch: { exporter: { otlp_http: { encoding: json } } } }] }",
        "2:79",
        "only protobuf",
    ),
    (
        "tracer_provider: { processors: [{ batch: { exporter: { otlp_http: { timeout: soon } } } }] }",
        "2:78",
        "whole number",
    ),
    ("tracer_provider: { processors: [], sampler: { jaeger_remote/development: {} } }", "2:45", "use one of always_on"),
    ("tracer_provider: { processors: [], sampler: { always_on: , always_off: } }", "2:45", "exactly one"),
    (
        "tracer_provider: { processors: [], sampler: { parent_based: { remote_parent_sampled: { always_off: } } } }",
        "2:86",
        "only always_on",
    ),
    ("tracer_provider: { processors: [], limits: { attribute_value_length_limit: 10 } }", "2:76", "8 KiB"),
    ("meter_provider: { readers: [{ periodic: { exporter: { console: } } }] }", "2:53", "console is not supported"),
    ("meter_provider: { readers: [], views: [{}] }", "2:39", "meter_provider.views"),
    ("meter_provider: { readers: [], exemplar_filter: always_on }", "2:49", "use trace_based or always_off"),
    (
        "meter_provider: { readers: [{ periodic: { exporter: { otlp_grpc: { temporality_preference: lowmemory } } } }] }",
        "2:92",
        "use cumulative, delta or low_memory",
    ),
    (
        "logger_provider: { processors: [{ simple: { exporter: { otlp_http: } } }] }",
        "2:55",
        "otlp_http is not supported for log lines",
    ),
    ("resource: { attributes_list: \"${A\" }", "2:30", "${NAME}"),
    (
        "propagator: { composite: [ { tracecontext: { foo: 1 } } ] }",
        "2:46",
        "propagator.composite[0].tracecontext.foo is not supported; propagator.composite[0].tracecontext has no settings",
    ),
    ("propagator: { composite: [ { b3: 1 } ] }", "2:34", "propagator.composite[0].b3: write a mapping"),
    (
        "resource: { detection/development: { detectors: [ { host: { bar: 2 } } ] } }",
        "2:61",
        "detectors[0].host.bar is not supported",
    ),
    (
        "tracer_provider: { processors: [], sampler: { parent_based: { remote_parent_sampled: { always_on: { ratio: 0.1 } } } } }",
        "2:101",
        "remote_parent_sampled.always_on.ratio is not supported",
    ),
    (
        "tracer_provider: { processors: [], sampler: { parent_based: { local_parent_not_sampled: { always_off: { a: 1 } } } } }",
        "2:105",
        "always_off.a is not supported",
    ),
    (
        "tracer_provider: { processors: [], sampler: { always_off: { ratio: 1 } } }",
        "2:61",
        "sampler.always_off.ratio is not supported",
    ),
    (
        "logger_provider: { processors: [{ simple: { exporter: { console: { color: true } } } }] }",
        "2:68",
        "console.color is not supported",
    ),
];

#[test]
fn what_telemetry_does_not_do_is_refused_with_its_line_and_column() {
    let seen = REFUSED.iter().map(|(part, ..)| (*part, fault(&format!("file_format: \"1.1\"\n{part}\n"))));
    let is_other = |(part, (found, allowed)): &(&str, (String, String))| {
        let (_, place, message) = REFUSED.iter().find(|(known, ..)| known == part).unwrap();
        found != place || !allowed.contains(message)
    };
    let others: Vec<_> = seen.filter(is_other).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn a_file_without_a_supported_format_is_refused() {
    for text in ["", "disabled: false", "file_format: \"0.4\"", "file_format: \"2.0\"", "file_format:", "- 1", "1"] {
        let (_, allowed) = fault(text);
        assert!(allowed.contains("file_format") || allowed.contains("mapping"), "{text}: {allowed}");
    }
    assert!(fault("file_format: \"1.1\"\n---\nfile_format: \"1.1\"").1.contains("one document"));
    let deep = format!("file_format: {}1{}", "[".repeat(100), "]".repeat(100));
    assert!(fault(&deep).1.contains("deep"));
}

#[test]
fn a_value_that_its_setting_refuses_names_the_file_and_the_line() {
    let text = "file_format: \"1.1\"\npropagator:\n  composite_list: tracecontext,xray\n";
    let error = resolve(text, &[]).unwrap_err().to_string();
    assert!(error.starts_with("OTEL_CONFIG_FILE=\""), "{error}");
    for part in [".yaml:3\"", "\"tracecontext,xray\" as propagators", "b3multi, jaeger or none"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let error = ConfigFile::read("/does/not/exist.yaml", &|_| None).unwrap_err().to_string();
    assert!(
        error.starts_with(r#"OTEL_CONFIG_FILE="/does/not/exist.yaml" is not usable: it cannot be read"#),
        "{error}"
    );
}
