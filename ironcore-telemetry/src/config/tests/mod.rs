//! Resolution of settings: precedence, refused values, missing features, secrets.

mod features;
mod readme;

use super::settings::Settings;
use super::table::{Propagator, Sampler};
use super::{Config, Sampling};
use crate::error::InitError;
use std::net::SocketAddr;

/// Every feature that a setting can need.
const ALL_FEATURES: &[&str] = &["otlp-grpc", "otlp-http", "prometheus", "json-logs"];

/// The settings in a build with all features, so that these tests hold whichever are compiled in.
fn resolve(config: &Config, env: &[(&str, &str)]) -> Result<Settings, InitError> {
    resolve_for(ALL_FEATURES, config, env)
}

fn resolve_for(features: &[&'static str], config: &Config, env: &[(&str, &str)]) -> Result<Settings, InitError> {
    Settings::resolve_for(features, config, &|name| {
        let found = env.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
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
    assert!(settings.metrics_push.is_none() && settings.prometheus && settings.logs);
    assert!(settings.service.name.starts_with("unknown_service:"));
}

#[test]
fn code_wins_over_the_environment_and_the_environment_over_the_default() {
    let env = [("OTEL_SERVICE_NAME", "by_env"), ("RUST_LOG", "debug")];
    let settings = resolve(&Config::new("by_code"), &env).unwrap();
    assert_eq!(settings.service.name, "by_code");
    assert_eq!(settings.log_filter.directives, "debug");
    for known in ["service.name=by_code(code)", "log_filter=debug(RUST_LOG)", "queue_size=16384(default)"] {
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
        "service.name=wallets(code) traces=otlp(default) metrics=prometheus,otlp(OTEL_METRICS_EXPORTER) \
         logs=console(default)",
        &otlp("http://localhost:4317(default)"),
        &otlp("http://h:1(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT)"),
        "metric_interval_ms=60000(default) metrics_listener=127.0.0.1:1(code) sampler=Ratio(0.5)(code) \
         queue_size=16384(default) batch_size=512(default) queue_delay_ms=1000(default) \
         propagators=tracecontext(default) log_filter=info,opentelemetry=warn(default) trace_filter=info(default)",
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
    ])
    .report;
    let expected = "service.name=wallets(OTEL_SERVICE_NAME) traces=none(OTEL_TRACES_EXPORTER) \
                    metrics=prometheus(default) logs=console(default) metrics_host=localhost(default) \
                    metrics_port=9464(default) sampler=traceidratio(OTEL_TRACES_SAMPLER) \
                    sampler_ratio=0.25(OTEL_TRACES_SAMPLER_ARG) queue_size=16384(default) batch_size=512(default) \
                    queue_delay_ms=5(OTEL_BSP_SCHEDULE_DELAY) propagators=tracecontext,b3(OTEL_PROPAGATORS) \
                    log_filter=info,opentelemetry=warn(default) trace_filter=info(default)";
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
fn a_bad_variable_is_an_error_that_names_the_value_and_lists_the_allowed_ones() {
    for (name, value, allowed) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "none"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "otlp or none"),
        ("OTEL_METRICS_EXPORTER", "none,otlp", "prometheus, otlp or none"),
        ("OTEL_LOGS_EXPORTER", "otlp", "console or none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "http://host:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317", "TLS"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:99999", "http://host:port"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift", "grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number"),
        ("OTEL_TRACES_SAMPLER", "ALWAYS_ON", "always_on"),
        ("OTEL_PROPAGATORS", "xray", "tracecontext, baggage, b3, b3multi, jaeger or none"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "from 1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "whole number"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "94640", "from 0 to 65535"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "example.com", "IP address"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "key=value"),
    ] {
        let error = resolve(&Config::default(), &[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}={value:?}")), "{error}");
        assert!(error.contains(allowed), "{error} should list {allowed}");
    }
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
    let error = resolve(&Config::default(), &ratio).unwrap_err().to_string();
    assert!(error.contains("OTEL_TRACES_SAMPLER_ARG") && error.contains("0.0 to 1.0"), "{error}");
}

#[test]
fn a_bad_value_in_code_is_an_error_that_names_the_method() {
    use std::time::Duration;
    for (config, start) in [
        (Config::new(""), r#"Config::new="" is not usable: give a name"#),
        (Config::default().endpoint("h:1"), r#"Config::endpoint="h:1" is not usable: use http://host:port"#),
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
fn credentials_are_shown_neither_in_errors_nor_in_the_report() {
    let headers = |list| [("OTEL_EXPORTER_OTLP_HEADERS", list)];
    let error = resolve(&Config::default(), &headers("authorization=Bearer hunter2%0A")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let settings = by_env(&headers("authorization=Bearer%20hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(settings.report.contains("headers=[REDACTED](OTEL_EXPORTER_OTLP_HEADERS)"));
    let in_url = resolve(&Config::default(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2@h:1")]);
    let error = in_url.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_HEADERS"), "{error}");
    let in_code = Config::default().header("authorization", "Bearer hunter2".to_owned());
    assert!(!format!("{in_code:?}").contains("hunter2"));
}

#[test]
fn the_switch_is_either_true_or_false() {
    let is_disabled = |value: &str| Settings::is_disabled(&|_| Some(value.to_owned()));
    assert!(is_disabled("TRUE").unwrap() && !is_disabled("false").unwrap());
    let error = is_disabled("yes").unwrap_err().to_string();
    assert!(error.contains("OTEL_SDK_DISABLED") && error.contains("true or false"), "{error}");
}

#[test]
fn headers_come_from_code_or_from_the_environment_but_not_from_both() {
    let config = Config::default().header("authorization", "Bearer hunter2");
    assert_eq!(resolve(&config, &[]).unwrap().traces.unwrap().headers.len(), 1);
    let error = resolve(&config, &[("OTEL_EXPORTER_OTLP_HEADERS", "a=b")]).unwrap_err();
    assert!(error.to_string().contains("not both"), "{error}");
}

#[test]
fn a_listener_without_a_page_is_refused() {
    let config = Config::default().metrics_listener("127.0.0.1:1".parse::<SocketAddr>().unwrap());
    let error = resolve(&config, &[("OTEL_METRICS_EXPORTER", "none")]).unwrap_err();
    assert!(error.to_string().contains("Config::metrics_listener"), "{error}");
}
