//! Resolution of settings: precedence, refused values, missing features, secrets.

mod environments;
mod features;
mod readme;
mod sampling;

use super::settings::{Environment, Settings};
use super::table::{Propagator, Sampler};
use super::{Config, Sampling};
use crate::error::InitError;
use std::net::SocketAddr;

/// Every feature that a setting can need.
const ALL_FEATURES: &[&str] = &["otlp-grpc", "otlp-http", "tls", "prometheus", "json-logs", "jaeger-sampling", "spool"];

/// The settings in a build with all features, so that these tests hold whichever are compiled in.
fn resolve(config: &Config, env: &[(&str, &str)]) -> Result<Settings, InitError> {
    resolve_for(ALL_FEATURES, config, env)
}

fn resolve_for(features: &[&'static str], config: &Config, env: &[(&str, &str)]) -> Result<Settings, InitError> {
    let variable = |name: &str| {
        let found = env.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let settings = Settings::resolve_for(features, config, environment(&variable))?;
    Ok(settings.expect("telemetry is not disabled"))
}

fn environment(variable: &dyn Fn(&str) -> Option<String>) -> Environment<'_> {
    let check_directive = |text: &str| if text.contains('!') { Err("a stray !".to_owned()) } else { Ok(()) };
    Environment { variable, check_directive }
}

fn by_env(env: &[(&str, &str)]) -> Settings {
    resolve(&Config::default(), env).unwrap()
}

#[test]
fn the_defaults_are_safe_and_need_no_variable() {
    let settings = by_env(&[]);
    assert_eq!(settings.metrics_listener, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(settings.sampler, Sampler { root: Sampling::Always, follows_parent: true });
    assert_eq!(settings.propagators, [Propagator::TraceContext]);
    assert_eq!(settings.traces.unwrap().endpoint, "http://localhost:4317");
    assert!(settings.metrics_push.is_none() && settings.prometheus && settings.log_lines.is_some());
    assert!(settings.service.name.starts_with("unknown_service:"));
}

#[test]
fn code_wins_over_the_environment_and_the_environment_over_the_default() {
    let env = [("OTEL_SERVICE_NAME", "by_env"), ("RUST_LOG", "debug")];
    let settings = resolve(&Config::new("by_code"), &env).unwrap();
    assert_eq!(settings.service.name, "by_code");
    assert_eq!(settings.log_lines.unwrap().filter.directives, "debug");
    for known in ["service.name=by_code(code)", "log_filter=debug(RUST_LOG)", "queue_size=65536(default)"] {
        assert!(settings.report.contains(known), "{known} in {}", settings.report);
    }
}

#[test]
fn the_report_lists_every_setting_in_force_with_its_origin() {
    let config = Config::new("wallets")
        .sampling(Sampling::Ratio(0.5))
        .metrics_listener("127.0.0.1:1".parse::<SocketAddr>().unwrap())
        .header("authorization", "Bearer hunter2");
    let env = [("OTEL_METRICS_EXPORTER", "prometheus,otlp"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://h:1")];
    let otlp = |endpoint: &str| {
        format!(
            "protocol=grpc(default) compression=none(default) endpoint={endpoint} headers=[REDACTED](code) \
             export_timeout_ms=10000(default)"
        )
    };
    let expected = [
        "service.name=wallets(code) resource_detectors=host,os,process,container,kubernetes,cloud(default) \
         traces=otlp(default) metrics=prometheus,otlp(OTEL_METRICS_EXPORTER) \
         logs=console(default)",
        &otlp("http://localhost:4317(default)"),
        &otlp("http://h:1(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT)"),
        "metric_interval_ms=60000(default) metric_timeout_ms=30000(default) temporality=cumulative(default) \
         histograms=explicit_bucket_histogram(default) metrics_listener=127.0.0.1:1(code) \
         sampler=Ratio(0.5)(code) exemplars=trace_based(default) \
         span_attributes=64(default) span_events=64(default) span_links=32(default) event_attributes=32(default) \
         link_attributes=32(default) queue_size=65536(default) \
         queue_bytes=67108864(default) batch_size=512(default) batch_bytes=3670016(default) \
         queue_delay_ms=1000(default) export_concurrency=16(default) \
         propagators=tracecontext(default) log_filter=info,opentelemetry=warn(default) log_span_fields=true(default) log_format=auto(default) trace_filter=info(default) redact=true(default) \
         strict=false(default)",
    ];
    assert_eq!(resolve(&config, &env).unwrap().report, expected.join(" "));
}

#[test]
fn the_report_shows_the_values_of_the_environment_as_a_variable_would_set_them() {
    let report = by_env(&[
        ("OTEL_SERVICE_NAME", "wallets"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7"),
        ("IRONCORE_RESOURCE_DETECTORS", "none"),
    ])
    .report;
    let expected = "service.name=wallets(OTEL_SERVICE_NAME) \
                    resource_detectors=none(IRONCORE_RESOURCE_DETECTORS) traces=none(OTEL_TRACES_EXPORTER) \
                    metrics=prometheus(default) logs=console(default) metrics_host=localhost(default) \
                    metrics_port=9464(default) sampler=traceidratio(OTEL_TRACES_SAMPLER) \
                    sampler_ratio=0.25(OTEL_TRACES_SAMPLER_ARG) exemplars=trace_based(default) \
                    span_attributes=64(default) span_events=7(OTEL_SPAN_EVENT_COUNT_LIMIT) span_links=32(default) \
                    event_attributes=32(default) link_attributes=32(default) queue_size=65536(default) \
                    queue_bytes=67108864(default) batch_size=512(default) batch_bytes=3670016(default) \
                    queue_delay_ms=5(OTEL_BSP_SCHEDULE_DELAY) export_concurrency=16(default) propagators=tracecontext,b3(OTEL_PROPAGATORS) \
                    log_filter=info,opentelemetry=warn(default) log_span_fields=true(default) log_format=auto(default) trace_filter=info(default) redact=true(default) \
                    strict=false(default)";
    assert_eq!(report, expected);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    assert_eq!(by_env(&[("OTEL_TRACES_SAMPLER", " ")]).sampler.root, Sampling::Always);
}

#[test]
fn resource_attributes_are_decoded_and_the_service_name_has_its_own_variable() {
    let list = "service.name=low,team=a%2Cb,deployment.environment.name=staging,service.version=2";
    let service = by_env(&[("OTEL_RESOURCE_ATTRIBUTES", list)]).service;
    assert_eq!(service.name, "low");
    assert_eq!((service.version.as_str(), service.deployment_environment.as_str()), ("2", "staging"));
    assert_eq!(service.attributes, [("team".to_owned(), "a,b".to_owned())]);
    let settings = by_env(&[("OTEL_RESOURCE_ATTRIBUTES", list), ("OTEL_SERVICE_NAME", "high")]);
    assert_eq!(settings.service.name, "high");
}

#[test]
fn samplers_have_the_names_of_the_specification() {
    let sampler = |name, arg| by_env(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", arg)]).sampler;
    assert_eq!(sampler("always_off", ""), Sampler { root: Sampling::Never, follows_parent: false });
    let ratio = Sampler { root: Sampling::Ratio(0.25), follows_parent: true };
    assert_eq!(sampler("parentbased_traceidratio", "0.25"), ratio);
}

#[test]
fn http_appends_the_path_of_the_signal_to_the_common_endpoint_only() {
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let common = by_env(&[http, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/base/")]);
    assert_eq!(common.traces.unwrap().endpoint, "http://h:4318/base/v1/traces");
    let own = by_env(&[http, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4318/mine")]);
    assert_eq!(own.traces.unwrap().endpoint, "http://h:4318/mine");
}

#[test]
fn a_bad_value_in_code_is_an_error_that_names_the_method() {
    use std::time::Duration;
    for (config, start) in [
        (Config::new(""), r#"Config::new="" is not usable: give a name"#),
        (
            Config::default().endpoint("ftp://h:1"),
            r#"Config::endpoint="ftp://h:1" is not usable: use http://host:port"#,
        ),
        (Config::default().export_timeout(Duration::ZERO), r#"Config::export_timeout="0" is not usable: use a whole"#),
        (Config::default().export_timeout(Duration::MAX), "Config::export_timeout="),
        (Config::default().sampling(Sampling::Ratio(1.5)), r#"Config::sampling="1.5" is not usable: use a number"#),
        (Config::default().header("a b", "c"), r#"Config::header="[REDACTED]" is not usable: use name=value"#),
    ] {
        let error = resolve(&config, &[]).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error} should start with {start}");
    }
}

#[test]
fn credentials_are_shown_neither_in_errors_nor_in_warnings_nor_in_the_report() {
    let headers = |list| [("OTEL_EXPORTER_OTLP_HEADERS", list)];
    let bad = headers("authorization=Bearer hunter2%0A");
    let error = resolve(&Config::default().strict(), &bad).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let settings = by_env(&bad);
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert_eq!(settings.notices.ignored[0].value, "[REDACTED]");
    let settings = by_env(&headers("authorization=Bearer%20hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(settings.report.contains("headers=[REDACTED](OTEL_EXPORTER_OTLP_HEADERS)"));
    let in_url = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@h:1")];
    let error = resolve(&Config::default().strict(), &in_url).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_HEADERS"), "{error}");
    assert!(!format!("{:?}", by_env(&in_url)).contains("hunter2"));
    let in_code = Config::default().header("authorization", "Bearer hunter2".to_owned());
    assert!(!format!("{in_code:?}").contains("hunter2"));
}

#[test]
fn headers_in_code_win_over_those_of_the_environment() {
    let config = Config::default().header("authorization", "Bearer hunter2");
    let settings = resolve(&config, &[("OTEL_EXPORTER_OTLP_HEADERS", "a=b,c=d")]).unwrap();
    let headers = settings.traces.unwrap().headers;
    assert_eq!(headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["authorization"]);
}

#[test]
fn a_listener_in_code_gives_way_to_an_environment_without_a_page() {
    let config = Config::default().metrics_listener("127.0.0.1:1".parse::<SocketAddr>().unwrap());
    let env = [("OTEL_METRICS_EXPORTER", "none")];
    let settings = resolve(&config, &env).unwrap();
    assert_eq!(settings.metrics_listener, None);
    assert_eq!(settings.notices.ignored[0].name, "Config::metrics_listener");
    let error = resolve(&config.strict(), &env).unwrap_err();
    assert!(error.to_string().contains("Config::metrics_listener"), "{error}");
}

#[cfg(all(unix, feature = "spool"))]
#[test]
fn a_spool_is_the_absolute_path_of_a_folder_and_has_a_limit() {
    let settings =
        resolve(&Config::default().spool("/var/lib/wallets"), &[("IRONCORE_SPOOL_BYTES", "16777216")]).unwrap();
    let spool = settings.spool.unwrap();
    assert_eq!((spool.folder.to_str(), spool.bytes), (Some("/var/lib/wallets"), 16 << 20));
    assert!(settings.report.contains("spool=/var/lib/wallets(code) spool_bytes=16777216(IRONCORE_SPOOL_BYTES)"));
    let error = resolve(&Config::default().spool("wallets"), &[]).unwrap_err().to_string();
    assert!(error.contains("Config::spool") && error.contains("absolute path"), "{error}");
    assert!(by_env(&[]).spool.is_none());
}
