//! No cargo feature changes a default: a default whose feature is not compiled in is an error that names both ways out.
//! A variable that asks for one is warned of.

use super::{ALL_FEATURES, environment, resolve_for};
use crate::config::{Config, Propagator, Protocol};
use crate::error::InitError;

/// The error of a build without `missing`, with the parts that it must name.
fn refused_without(missing: &[&'static str], config: &Config, env: &[(&str, &str)], parts: &[&str]) {
    let features: Vec<_> = ALL_FEATURES.iter().copied().filter(|feature| !missing.contains(feature)).collect();
    let error = resolve_for(&features, &config.clone().strict(), env).unwrap_err();
    assert!(matches!(error, InitError::MissingFeature { .. }), "{error}");
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{error} should name {part}");
    }
}

#[test]
fn the_default_protocol_is_grpc_whatever_is_compiled_in() {
    let parts = [
        r#"OTEL_EXPORTER_OTLP_PROTOCOL="grpc" (the default)"#,
        "`otlp-grpc`",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf with the feature `otlp-http`",
        "OTEL_TRACES_EXPORTER=none",
    ];
    refused_without(&["otlp-grpc"], &Config::default(), &[], &parts);
    refused_without(&["otlp-grpc", "otlp-http"], &Config::default(), &[], &parts);
}

#[test]
fn a_protocol_without_its_feature_names_the_other_one() {
    let variable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
    let parts = [
        r#"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf" needs"#,
        "`otlp-http`",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc with the feature `otlp-grpc`",
    ];
    refused_without(&["otlp-http"], &Config::default(), &[(variable, "http/protobuf")], &parts);
    let config = Config::default().protocol(Protocol::HttpProtobuf);
    let parts = [
        r#"Config::protocol="http/protobuf" needs"#,
        "`otlp-http`",
        "Config::protocol(Protocol::Grpc) with the feature `otlp-grpc`",
    ];
    refused_without(&["otlp-http"], &config, &[], &parts);
}

#[test]
fn an_endpoint_with_tls_needs_its_feature() {
    let endpoint = |value| [("OTEL_EXPORTER_OTLP_ENDPOINT", value)];
    let parts = [r#"OTEL_EXPORTER_OTLP_ENDPOINT="https://h:1" needs"#, "`tls`", "http://"];
    for value in ["https://h:1", "h:1"] {
        refused_without(&["tls"], &Config::default(), &endpoint(value), &parts);
        // Not ignored without strict mode either: what is meant to be encrypted is not sent elsewhere.
        let features: Vec<_> = ALL_FEATURES.iter().copied().filter(|feature| *feature != "tls").collect();
        assert!(resolve_for(&features, &Config::default(), &endpoint(value)).is_err());
    }
}

#[test]
fn metrics_over_otlp_need_the_feature_of_their_protocol() {
    let env = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "otlp")];
    let parts = ["`otlp-grpc`", "`otlp-http`", "OTEL_METRICS_EXPORTER=prometheus or none"];
    refused_without(&["otlp-grpc", "otlp-http"], &Config::default(), &env, &parts);
}

#[test]
fn the_metrics_page_is_the_default_without_its_feature_too() {
    let parts = [
        r#"OTEL_METRICS_EXPORTER="prometheus" (the default)"#,
        "`prometheus`",
        "OTEL_METRICS_EXPORTER=otlp",
        "OTEL_METRICS_EXPORTER=none",
    ];
    refused_without(&["prometheus"], &Config::default(), &[], &parts);
    let env = [("OTEL_METRICS_EXPORTER", "otlp,prometheus")];
    refused_without(&["prometheus"], &Config::default(), &env, &[r#"OTEL_METRICS_EXPORTER="prometheus" needs"#]);
}

#[test]
fn log_lines_are_the_default_without_their_feature_too() {
    let parts = [r#"OTEL_LOGS_EXPORTER="console" (the default)"#, "`json-logs`", "OTEL_LOGS_EXPORTER=none"];
    refused_without(&["json-logs"], &Config::default(), &[], &parts);
}

#[test]
fn a_spool_needs_its_feature() {
    let env = [("IRONCORE_SPOOL_DIR", "/var/lib/wallets")];
    refused_without(
        &["spool"],
        &Config::default(),
        &env,
        &[r#"IRONCORE_SPOOL_DIR="/var/lib/wallets" needs"#, "`spool`"],
    );
}

#[test]
fn without_any_feature_the_ways_out_lead_to_working_settings() {
    let env = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_PROPAGATORS", "tracecontext,baggage,b3,b3multi,jaeger"),
    ];
    let settings = resolve_for(&[], &Config::default(), &env).unwrap();
    assert!(
        settings.traces.is_none()
            && settings.metrics_push.is_none()
            && !settings.prometheus
            && settings.log_lines.is_none()
    );
    // Every propagator is compiled in.
    assert_eq!(settings.propagators.len(), 5);
    assert!(settings.propagators.contains(&Propagator::Jaeger));
}

#[test]
fn each_default_works_with_the_default_features() {
    assert!(resolve_for(&["otlp-grpc", "tls", "prometheus", "json-logs"], &Config::default(), &[]).is_ok());
}

#[test]
fn the_settings_of_this_build_know_its_features() {
    use crate::config::Settings;
    let is_ok = |variable: &dyn Fn(&str) -> Option<String>| {
        Settings::resolve(&Config::default().strict(), environment(variable)).is_ok()
    };
    let env = |features: bool, name: &str| (!features).then(|| (name.to_owned(), "none"));
    let off = [
        env(cfg!(feature = "otlp-grpc"), "OTEL_TRACES_EXPORTER"),
        env(cfg!(feature = "prometheus"), "OTEL_METRICS_EXPORTER"),
        env(cfg!(feature = "json-logs"), "OTEL_LOGS_EXPORTER"),
    ];
    let switched = |name: &str| off.iter().flatten().find(|(off, _)| off == name).map(|(_, none)| (*none).to_owned());
    assert!(is_ok(&switched));
    let any_missing = off.iter().any(Option::is_some);
    assert_eq!(!is_ok(&|_| None), any_missing);
    let http = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("http/protobuf".to_owned()),
        "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER" => Some("none".to_owned()),
        _ => None,
    };
    assert_eq!(is_ok(&http), cfg!(feature = "otlp-http"));
}

#[test]
fn a_variable_whose_feature_is_missing_gives_way_to_what_is_compiled_in() {
    for (missing, variable, value, kept, used) in [
        ("otlp-http", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "protocol=grpc(default)", "grpc (compiled in)"),
        (
            "otlp-grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "protocol=http/protobuf(default)",
            "http/protobuf (compiled in)",
        ),
        ("prometheus", "OTEL_METRICS_EXPORTER", "prometheus", "metrics=none(OTEL_METRICS_EXPORTER)", "none"),
        ("prometheus", "OTEL_METRICS_EXPORTER", "otlp,prometheus", "metrics=otlp(OTEL_METRICS_EXPORTER)", "otlp"),
        ("json-logs", "OTEL_LOGS_EXPORTER", "console", "logs=none(OTEL_LOGS_EXPORTER)", "none"),
        ("json-logs", "OTEL_LOGS_EXPORTER", "otlp", "logs=none(OTEL_LOGS_EXPORTER)", "none"),
    ] {
        let features: Vec<_> = ALL_FEATURES.iter().copied().filter(|feature| *feature != missing).collect();
        let settings = resolve_for(&features, &Config::default(), &[(variable, value)]).unwrap();
        assert!(settings.report.contains(kept), "{kept} in {}", settings.report);
        let [ignored] = settings.notices.ignored.as_slice() else { panic!("{:?}", settings.notices) };
        assert_eq!((ignored.name, ignored.used.as_str()), (variable, used));
        assert!(ignored.allowed.contains(&format!("`{missing}`")), "{ignored:?}");
    }
}

#[test]
fn a_value_that_cannot_be_used_never_keeps_a_build_with_fewer_features_from_working() {
    const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
    const OWN_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
    const TRACES: &str = "OTEL_TRACES_EXPORTER";
    const METRICS: &str = "OTEL_METRICS_EXPORTER";
    const LOGS: &str = "OTEL_LOGS_EXPORTER";
    #[expect(clippy::type_complexity, reason = "a table")]
    let rows: &[(&[&str], &[(&str, &str)], &str, &str)] = &[
        (&["otlp-grpc"], &[(PROTOCOL, "http/json")], "protocol=http/protobuf(default)", "http/protobuf (compiled in)"),
        (
            &["otlp-grpc"],
            &[(OWN_PROTOCOL, "htp"), (PROTOCOL, "http/json")],
            "protocol=http/protobuf(default)",
            "http/protobuf (compiled in)",
        ),
        (
            &["otlp-grpc"],
            &[(OWN_PROTOCOL, "htp"), (PROTOCOL, "grpc")],
            "protocol=http/protobuf(default)",
            "http/protobuf (compiled in)",
        ),
        (&["prometheus"], &[(METRICS, "console")], "metrics=none(default)", "none"),
        (&["prometheus"], &[(METRICS, "prometheus,console")], "metrics=none(OTEL_METRICS_EXPORTER)", "none"),
        (&["json-logs"], &[(LOGS, "consle")], "logs=none(default)", "none"),
        (&["spool"], &[("IRONCORE_SPOOL_DIR", "/var/lib/wallets")], "queue_size=65536(default)", "none"),
        (&["otlp-grpc", "otlp-http"], &[(TRACES, "nnone")], "traces=none(default)", "none"),
        (&["otlp-grpc", "otlp-http"], &[(TRACES, "otlp")], "traces=none(OTEL_TRACES_EXPORTER)", "none"),
        (
            &["otlp-grpc", "otlp-http"],
            &[(TRACES, "none"), (METRICS, "otlp,prometheus")],
            "metrics=prometheus(OTEL_METRICS_EXPORTER)",
            "prometheus",
        ),
    ];
    for (missing, env, kept, used) in rows {
        let features: Vec<_> = ALL_FEATURES.iter().copied().filter(|feature| !missing.contains(feature)).collect();
        let settings =
            resolve_for(&features, &Config::default(), env).unwrap_or_else(|error| panic!("{env:?}: {error}"));
        assert!(settings.report.contains(kept), "{kept} in {}", settings.report);
        let ignored = &settings.notices.ignored;
        assert!(!ignored.is_empty() && ignored.iter().all(|ignored| ignored.used == *used), "{env:?}: {ignored:?}");
        assert!(resolve_for(&features, &Config::default().strict(), env).is_err(), "{env:?}");
    }
}
