//! What each kind of value of a variable does: accepted, ignored with a warning, or an error in strict mode.

use super::{by_env, environment, resolve};
use crate::config::not_acted_on;
use crate::config::{Config, Histograms, Settings, Temporality};
use std::time::Duration;

/// What is in force, as the start-up line shows it.
fn in_force(settings: &Settings, shown: &str) -> bool {
    format!(" {} ", settings.report).contains(&format!(" {shown} "))
}

#[test]
fn values_of_platforms_are_accepted_as_the_specification_writes_them() {
    for (variable, value, shown) in [
        ("OTEL_TRACES_EXPORTER", "OTLP", "traces=otlp(OTEL_TRACES_EXPORTER)"),
        ("OTEL_TRACES_EXPORTER", "None", "traces=none(OTEL_TRACES_EXPORTER)"),
        ("OTEL_METRICS_EXPORTER", "Prometheus, OTLP", "metrics=prometheus,otlp(OTEL_METRICS_EXPORTER)"),
        ("OTEL_METRICS_EXPORTER", "otlp,otlp,", "metrics=otlp(OTEL_METRICS_EXPORTER)"),
        ("OTEL_TRACES_SAMPLER", "Always_On", "sampler=always_on(OTEL_TRACES_SAMPLER)"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/protobuf", "protocol=http/protobuf(OTEL_EXPORTER_OTLP_PROTOCOL)"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "NONE", "compression=none(OTEL_EXPORTER_OTLP_COMPRESSION)"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "GZIP", "compression=gzip(OTEL_EXPORTER_OTLP_TRACES_COMPRESSION)"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "True", "insecure=true(OTEL_EXPORTER_OTLP_INSECURE)"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "HTTPS://collector:4317/",
            "endpoint=https://collector:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector:4317",
            "endpoint=https://collector:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        #[cfg(unix)]
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "unix:///run/otel.sock",
            "endpoint=unix:///run/otel.sock(OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        ("OTEL_PROPAGATORS", "tracecontext,", "propagators=tracecontext(OTEL_PROPAGATORS)"),
        ("OTEL_PROPAGATORS", "TraceContext,,b3 , B3", "propagators=tracecontext,b3(OTEL_PROPAGATORS)"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "HTTP://localhost:4317",
            "endpoint=http://localhost:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://[::1]:4317/",
            "endpoint=http://[::1]:4317(OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector", "endpoint=http://collector(OTEL_EXPORTER_OTLP_ENDPOINT)"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "[::1]", "metrics_host=::1(OTEL_EXPORTER_PROMETHEUS_HOST)"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "LocalHost", "metrics_host=localhost(OTEL_EXPORTER_PROMETHEUS_HOST)"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", " 500\n", "export_timeout_ms=500(OTEL_EXPORTER_OTLP_TIMEOUT)"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "0", "span_links=0(OTEL_SPAN_LINK_COUNT_LIMIT)"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "128", "span_attributes=128(OTEL_ATTRIBUTE_COUNT_LIMIT)"),
        ("IRONCORE_RESOURCE_DETECTORS", "Host,OS", "resource_detectors=host,os(IRONCORE_RESOURCE_DETECTORS)"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "ALWAYS_OFF", "exemplars=always_off(OTEL_METRICS_EXEMPLAR_FILTER)"),
        ("IRONCORE_SPOOL_DIR", "/var/lib/wallets", "spool=/var/lib/wallets(IRONCORE_SPOOL_DIR)"),
        ("IRONCORE_STRICT", "False", "strict=false(IRONCORE_STRICT)"),
    ] {
        for config in [Config::default(), Config::default().strict()] {
            let settings = resolve(&config, &[(variable, value)]).unwrap();
            let shown = if settings.strict {
                shown.replace("strict=false(IRONCORE_STRICT)", "strict=true(code)")
            } else {
                shown.to_owned()
            };
            assert!(in_force(&settings, &shown), "{shown} in {}", settings.report);
            assert!(settings.notices.ignored.is_empty() && settings.notices.not_acted_on.is_empty(), "{settings:?}");
        }
    }
}

/// A variable, a value that cannot be used, a part of what is allowed, and what is used in its place.
const REFUSED: &[(&str, &str, &str, &str)] = &[
    ("IRONCORE_STRICT", "1", "true or false", "false (default)"),
    ("OTEL_SDK_DISABLED", "1", "true or false", "false (default)"),
    ("OTEL_SDK_DISABLED", "yes", "true or false", "false (default)"),
    ("OTEL_TRACES_EXPORTER", "jaeger", "otlp or none", "otlp (default)"),
    ("OTEL_TRACES_EXPORTER", ",", "otlp or none", "otlp (default)"),
    ("OTEL_METRICS_EXPORTER", "console", "prometheus, otlp or none", "prometheus (default)"),
    ("OTEL_METRICS_EXPORTER", "none,otlp", "prometheus, otlp or none", "otlp (OTEL_METRICS_EXPORTER)"),
    ("OTEL_LOGS_EXPORTER", "file", "console, otlp or none", "console (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "tcp://collector:4317", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://", "https://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:run/otel.sock", "unix:/path", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:99999", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://::1:4317", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1:4317", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://col lector", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:1/\u{7f}<", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "${COLLECTOR}", "http://host:port", "http://localhost:4317 (default)"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "thrift", "grpc, http/protobuf", "grpc (default)"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc, http/protobuf", "grpc (default)"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization", "name=value", "nothing"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "token-bin=AAAA", "-bin", "nothing"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole number", "10000 (default)"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "from 1", "10000 (default)"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1e3", "whole number", "10000 (default)"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "none, gzip", "none (default)"),
    ("OTEL_TRACES_SAMPLER", "xray", "always_on", "parentbased_always_on (default)"),
    ("OTEL_PROPAGATORS", "tracecontext,baggage,xray", "none", "tracecontext,baggage (OTEL_PROPAGATORS)"),
    ("OTEL_PROPAGATORS", "ottrace", "tracecontext, baggage, b3, b3multi, jaeger or none", "tracecontext (default)"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "from 1", "65536 (default)"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "2k", "whole number", "65536 (default)"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999999999999999999", "from 1", "512 (default)"),
    ("OTEL_BSP_SCHEDULE_DELAY", "-1", "whole number", "1000 (default)"),
    ("OTEL_BSP_SCHEDULE_DELAY", "1.5", "whole number", "1000 (default)"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "94640", "from 0 to 65535", "9464 (default)"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "tcp://10.0.0.1:9464", "from 0 to 65535", "9464 (default)"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "example.com", "IP address", "localhost (default)"),
    ("OTEL_RESOURCE_ATTRIBUTES", "team", "key=value", "nothing"),
    ("OTEL_RESOURCE_ATTRIBUTES", "team=%GG", "key=value", "nothing"),
    ("OTEL_SERVICE_NAME", "caf\u{fffd}", "UTF-8", "unknown_service"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "whole number", "64 (default)"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-1", "whole number", "64 (default)"),
    ("IRONCORE_RESOURCE_DETECTORS", "os,gpu", "host, os", "os (IRONCORE_RESOURCE_DETECTORS)"),
    ("IRONCORE_SPOOL_DIR", "spool", "absolute path", "none (default)"),
    ("RUST_LOG", "info,!", "directives", "info (RUST_LOG)"),
    ("RUST_LOG", "!", "directives", "info,opentelemetry=warn (default)"),
    ("IRONCORE_TRACE_FILTER", "!", "directives", "info (default)"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "maybe", "true or false", "false (default)"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist", "can be read", "the file, once it can be used"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/does/not/exist", "can be read", "the file, once it can be used"),
    ("IRONCORE_OTLP_HEADERS_FILE", "/does/not/exist", "can be read", "the file, once it can be used"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "soon", "whole number", "nothing (default)"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "all", "trace_based", "trace_based (default)"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "0", "from 1", "30000 (default)"),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "gauge",
        "cumulative, delta, lowmemory",
        "cumulative (default)",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "summary",
        "explicit_bucket_histogram",
        "explicit_bucket_histogram (default)",
    ),
];

#[test]
fn a_variable_that_cannot_be_used_is_ignored_and_warned_of_once() {
    for (variable, value, allowed, used) in REFUSED {
        let env = [(*variable, *value), ("OTEL_METRICS_EXPORTER", "prometheus,otlp")];
        let settings = by_env(if *variable == "OTEL_METRICS_EXPORTER" { &env[..1] } else { &env });
        let [ignored] = settings.notices.ignored.as_slice() else { panic!("{variable}: {:?}", settings.notices) };
        let is_secret = variable.ends_with("HEADERS");
        assert_eq!((ignored.name, ignored.value.as_str()), (*variable, if is_secret { "[REDACTED]" } else { *value }));
        assert!(ignored.allowed.contains(allowed), "{ignored:?} should list {allowed}");
        assert!(ignored.used.starts_with(used), "{ignored:?} should be {used}");
        assert!(settings.notices.not_acted_on.is_empty(), "{:?}", settings.notices);
    }
    assert!(REFUSED.len() >= 42);
}

#[test]
fn in_strict_mode_it_is_an_error_that_names_the_value_and_lists_the_allowed_ones() {
    for (variable, value, allowed, _) in REFUSED.iter().filter(|(variable, ..)| *variable != "IRONCORE_STRICT") {
        let push =
            ("OTEL_METRICS_EXPORTER", if *variable == "OTEL_METRICS_EXPORTER" { *value } else { "prometheus,otlp" });
        let by_code = resolve(&Config::default().strict(), &[(variable, value), push]);
        let by_variable = resolve(&Config::default(), &[(variable, value), push, ("IRONCORE_STRICT", "TRUE")]);
        for error in [by_code, by_variable].map(|settings| settings.unwrap_err().to_string()) {
            let shown = if variable.ends_with("HEADERS") { "[REDACTED]" } else { value };
            assert!(error.starts_with(&format!("{variable}={shown:?} is not usable")), "{error}");
            assert!(error.contains(allowed), "{error} should list {allowed}");
        }
    }
}

#[test]
fn the_form_of_pushed_metrics_has_the_names_of_the_specification() {
    let env = [
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "700"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "BASE2_exponential_bucket_histogram"),
    ];
    let push = by_env(&env).metrics_push.unwrap();
    assert_eq!((push.timeout, push.temporality), (Duration::from_millis(700), Temporality::LowMemory));
    assert_eq!(push.histograms, Histograms::Exponential);
    let push = by_env(&env[..1]).metrics_push.unwrap();
    assert_eq!((push.timeout, push.temporality), (Duration::from_secs(30), Temporality::Cumulative));
    assert_eq!(push.histograms, Histograms::Explicit);
}

#[test]
fn a_ratio_is_a_number_from_0_to_1() {
    let ratio = |arg| [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", arg)];
    for bad in ["1.5", "-0.1", "NaN", "50%", "0,5"] {
        let settings = by_env(&ratio(bad));
        assert_eq!(settings.notices.ignored[0].used, "1.0 (default)");
        let error = resolve(&Config::default().strict(), &ratio(bad)).unwrap_err().to_string();
        assert!(error.contains("OTEL_TRACES_SAMPLER_ARG") && error.contains("0.0 to 1.0"), "{error}");
    }
}

#[test]
fn a_bad_value_of_a_signal_gives_way_to_the_common_one() {
    let env = [("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "long"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "5")];
    let settings = by_env(&env);
    assert!(in_force(&settings, "export_timeout_ms=5(OTEL_EXPORTER_OTLP_TIMEOUT)"), "{}", settings.report);
    assert_eq!(settings.notices.ignored[0].used, "5 (OTEL_EXPORTER_OTLP_TIMEOUT)");
}

#[test]
fn a_bad_service_name_gives_way_to_the_one_of_the_resource_attributes() {
    let env = [("OTEL_SERVICE_NAME", "\u{fffd}"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=wallets")];
    assert_eq!(by_env(&env).service.name, "wallets");
}

#[test]
fn a_long_value_is_shown_in_part() {
    let settings = by_env(&[("OTEL_TRACES_SAMPLER", &"x".repeat(100_000))]);
    assert_eq!(settings.notices.ignored[0].value.len(), 256);
}

#[test]
fn the_kill_switch_works_beside_anything_else() {
    for strict in ["true", "false", "?"] {
        let variable = |name: &str| {
            Some(match name {
                "OTEL_SDK_DISABLED" => "TRUE".to_owned(),
                "IRONCORE_STRICT" => strict.to_owned(),
                // A file stands in for the switch too.
                "OTEL_CONFIG_FILE" => return None,
                _ => "?".to_owned(),
            })
        };
        assert!(Settings::resolve(&Config::default(), environment(&variable)).unwrap().is_none());
    }
}

#[test]
fn variables_that_are_not_acted_on_are_named_and_are_no_error() {
    // Each with a value that would need what telemetry does not do.
    let value = |variable: &str| match variable {
        _ if variable.ends_with("_INSECURE") => "false",
        _ if variable.ends_with("_TIMEOUT") || variable.ends_with("_LIMIT") => "1000",
        _ if variable.contains("_BLRP_") => "7",
        _ => "/etc/ssl/collector.pem",
    };
    for variable in not_acted_on::variables() {
        for config in [Config::default(), Config::default().strict()] {
            let settings = resolve(&config, &[(variable, value(variable))]).unwrap();
            assert_eq!(settings.notices.not_acted_on, [variable]);
            assert!(settings.notices.ignored.is_empty(), "{:?}", settings.notices);
        }
    }
}

#[test]
fn values_of_settings_that_are_accepted_and_not_acted_on_are_named() {
    for (variable, value, shown) in [
        ("OTEL_LOGS_EXPORTER", "otlp", "logs=console(OTEL_LOGS_EXPORTER)"),
        ("OTEL_LOGS_EXPORTER", "console,otlp", "logs=console(OTEL_LOGS_EXPORTER)"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.1", "sampler=parentbased_always_on(default)"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "Always_On", "exemplars=trace_based(default)"),
    ] {
        let settings = resolve(&Config::default().strict(), &[(variable, value)]).unwrap();
        assert_eq!(settings.notices.not_acted_on, [variable]);
        assert!(in_force(&settings, shown), "{shown} in {}", settings.report);
    }
}

#[test]
fn values_that_say_what_is_done_anyway_are_not_named() {
    for (variable, value) in [("OTEL_EXPORTER_OTLP_INSECURE", "true"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "  ")] {
        let notices = by_env(&[(variable, value)]).notices;
        assert!(notices.not_acted_on.is_empty() && notices.ignored.is_empty(), "{variable}: {notices:?}");
    }
}

#[test]
fn plain_text_to_another_host_is_named_unless_it_is_meant() {
    const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let named = |env: &[(&str, &str)]| by_env(env).notices.unencrypted;
    for near in ["http://localhost:1", "http://x.localhost", "http://127.8.0.1:1/p", "http://[::1]:1", "https://h:1"] {
        assert!(named(&[(ENDPOINT, near)]).is_empty(), "{near}");
    }
    for far in ["http://collector:4317", "http://10.0.0.1:1", "http://[::2]:1", "http://127.example.org/localhost"] {
        assert_eq!(named(&[(ENDPOINT, far), ("OTEL_METRICS_EXPORTER", "otlp")]), [far]);
        assert!(named(&[(ENDPOINT, far), ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true")]).is_empty(), "{far}");
    }
}

#[test]
fn an_endpoint_without_a_scheme_is_one_with_tls_unless_it_is_said_otherwise() {
    let endpoint = |env: &[(&str, &str)]| by_env(env).traces.unwrap().endpoint;
    let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
    assert_eq!(endpoint(&[bare]), "https://collector:4317");
    assert_eq!(endpoint(&[bare, ("OTEL_EXPORTER_OTLP_INSECURE", "true")]), "http://collector:4317");
    let own = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false");
    assert_eq!(endpoint(&[bare, ("OTEL_EXPORTER_OTLP_INSECURE", "true"), own]), "https://collector:4317");
    // HTTP needs its scheme.
    let http = by_env(&[bare, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
    assert_eq!(http.notices.ignored[0].value, "collector:4317");
}

#[test]
fn the_headers_of_a_file_are_read_and_nothing_of_them_is_shown() {
    let path = std::env::temp_dir().join(format!("ironcore-headers-{:x}", rand::random::<u64>()));
    std::fs::write(&path, "authorization=Bearer%20hunter2\r\n tenant=a,b=c\n").unwrap();
    let settings = by_env(&[("IRONCORE_OTLP_HEADERS_FILE", path.to_str().unwrap())]);
    assert!(settings.notices.ignored.is_empty(), "{:?}", settings.notices);
    let headers = crate::config::read_headers(&path).unwrap();
    let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(shown, [("authorization", "Bearer hunter2"), ("tenant", "a"), ("b", "c")]);
    std::fs::write(&path, "hunter2").unwrap();
    let error = crate::config::read_headers(&path).unwrap_err();
    assert!(error.contains("name=value") && !error.contains("hunter2"), "{error}");
    std::fs::write(&path, "a=b,".repeat(20_000)).unwrap();
    assert!(crate::config::read_headers(&path).unwrap_err().contains("64 KiB"));
    std::fs::remove_file(&path).unwrap();
}

#[test]
#[cfg(not(feature = "config-file"))]
fn a_configuration_file_is_never_ignored() {
    let error = resolve(&Config::default(), &[("OTEL_CONFIG_FILE", "/etc/otel.yaml")]).unwrap_err().to_string();
    assert!(error.starts_with(r#"OTEL_CONFIG_FILE="/etc/otel.yaml" needs the cargo feature `config-file`"#), "{error}");
}
