//! The settings in force, from a [`Config`] and an environment.

use super::otlp::{METRICS, Otlp, TRACES, otlp};
use super::service::{Service, service};
use super::source::{NOT_IN_CODE, Source, milliseconds, one_of, whole};
use super::{Config, MetricsListener, Sampling};
use crate::error::InitError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Everything that wiring needs, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    /// Where spans go; `None` when traces are off.
    pub(crate) traces: Option<Otlp>,
    pub(crate) sampler: Sampler,
    pub(crate) queue: Queue,
    pub(crate) propagators: Vec<Propagator>,
    /// Whether the `/metrics` page holds the instruments of users and libraries.
    pub(crate) prometheus: bool,
    /// Where the `/metrics` page is served; `None` opens no listener.
    pub(crate) metrics_listener: Option<SocketAddr>,
    /// Where metrics are pushed, and how often; `None` pushes nothing.
    pub(crate) metrics_push: Option<(Otlp, Duration)>,
    pub(crate) logs: bool,
    pub(crate) log_filter: Filter,
    pub(crate) trace_filter: Filter,
    /// What is in force and where each value came from, without secrets.
    pub(crate) report: String,
}

/// The decision for traces that start here, and whether a caller's decision comes first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    pub(crate) root: Sampling,
    pub(crate) follows_parent: bool,
}

/// Bounds of the span queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) capacity: usize,
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

/// Directives in the syntax of `RUST_LOG`; the layer that they are for parses them.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Where they come from, for the error message.
    pub(crate) origin: &'static str,
    pub(crate) directives: String,
}

impl Filter {
    /// The error for directives that the layer could not parse.
    pub(crate) fn refused(&self, error: &dyn std::fmt::Display) -> InitError {
        let allowed = format!("{error}; use directives as in info,my_crate=debug");
        InitError::invalid(self.origin, self.directives.as_str(), allowed)
    }
}

/// How context crosses a process boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    Jaeger,
}

impl Settings {
    /// Whether telemetry is switched off. Looked at before anything else: a bad setting must not keep the switch from
    /// working.
    ///
    /// # Errors
    /// The switch itself is neither on nor off.
    pub(crate) fn is_disabled(env: &dyn Fn(&str) -> Option<String>) -> Result<bool, InitError> {
        Source::new(env).pick("disabled", NOT_IN_CODE, &["OTEL_SDK_DISABLED"], "false", boolean)
    }

    /// Reads what `config` leaves open from `env`.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn resolve(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        let mut source = Source::new(env);
        let service = service(config, &mut source)?;
        let traces = exporters(&mut source, "traces", "OTEL_TRACES_EXPORTER", &["otlp"])?;
        let metrics = exporters(&mut source, "metrics", "OTEL_METRICS_EXPORTER", &["prometheus", "otlp"])?;
        let logs = exporters(&mut source, "logs", "OTEL_LOGS_EXPORTER", &["console"])?;
        let has = |list: &[String], name: &str| list.iter().any(|entry| entry == name);
        let prometheus = has(&metrics, "prometheus");

        let traces = has(&traces, "otlp").then(|| otlp(config, &mut source, &TRACES)).transpose()?;
        let metrics_push = has(&metrics, "otlp").then(|| metrics_push(config, &mut source)).transpose()?;
        let metrics_listener = if prometheus {
            metrics_listener(config, &mut source)?
        } else if let MetricsListener::At(address) = config.metrics_listener {
            let allowed = "add prometheus to OTEL_METRICS_EXPORTER, or open no listener";
            return Err(InitError::invalid("Config::metrics_listener", address.to_string(), allowed));
        } else {
            None
        };
        Ok(Self {
            service,
            traces,
            sampler: sampler(config, &mut source)?,
            queue: queue(&mut source)?,
            propagators: propagators(&mut source)?,
            prometheus,
            metrics_listener,
            metrics_push,
            logs: has(&logs, "console"),
            log_filter: filter(
                &mut source,
                "log_filter",
                ("Config::log_filter", &config.log_filter),
                "RUST_LOG",
                LOG_FILTER,
            )?,
            trace_filter: filter(
                &mut source,
                "trace_filter",
                ("Config::trace_filter", &config.trace_filter),
                "IRONCORE_TRACE_FILTER",
                "info",
            )?,
            report: source.report(),
        })
    }
}

/// A list of exporters out of those that this signal knows, the first of which is the default where this build has it;
/// `none` alone turns the signal off.
fn exporters(
    source: &mut Source<'_>,
    signal: &'static str,
    variable: &'static str,
    known: &[&str],
) -> Result<Vec<String>, InitError> {
    let features = [
        ("otlp", cfg!(any(feature = "otlp-grpc", feature = "otlp-http")), "otlp-grpc"),
        ("prometheus", cfg!(feature = "prometheus"), "prometheus"),
        ("console", cfg!(feature = "json-logs"), "json-logs"),
    ];
    let is_built = |name: &str| {
        let found = features.iter().find(|(exporter, ..)| *exporter == name);
        found.is_some_and(|(_, built, _)| *built)
    };
    let preferred = known.first().copied().filter(|name| is_built(name));
    let default = preferred.unwrap_or("none");
    let list = source.pick(signal, NOT_IN_CODE, &[variable], default, |value| {
        let list: Vec<_> = value.split(',').map(|name| name.trim().to_owned()).collect();
        let allowed = list.iter().all(|name| known.contains(&name.as_str())) || list == ["none"];
        allowed.then_some(list).ok_or_else(|| format!("use {} or none", known.join(", ")))
    })?;
    for (exporter, built, feature) in features {
        if !built && list.iter().any(|name| name == exporter) {
            return Err(InitError::MissingFeature { name: variable, value: exporter.to_owned(), feature });
        }
    }
    Ok(list)
}

fn metrics_push(config: &Config, source: &mut Source<'_>) -> Result<(Otlp, Duration), InitError> {
    let otlp = otlp(config, source, &METRICS)?;
    let interval =
        source.pick("metric_interval_ms", NOT_IN_CODE, &["OTEL_METRIC_EXPORT_INTERVAL"], "60000", |value| {
            milliseconds(value, 100)
        })?;
    Ok((otlp, interval))
}

fn metrics_listener(config: &Config, source: &mut Source<'_>) -> Result<Option<SocketAddr>, InitError> {
    match config.metrics_listener {
        MetricsListener::ByEnvironment => {}
        MetricsListener::Off => return Ok(None),
        MetricsListener::At(address) => {
            source.note("metrics_listener", &address.to_string(), "code");
            return Ok(Some(address));
        }
    }
    let host =
        source.pick(
            "metrics_host",
            NOT_IN_CODE,
            &["OTEL_EXPORTER_PROMETHEUS_HOST"],
            "localhost",
            |value| match value {
                "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                address => address.parse().map_err(|_| "use localhost or an IP address, as in 127.0.0.1".to_owned()),
            },
        )?;
    let port = source.pick("metrics_port", NOT_IN_CODE, &["OTEL_EXPORTER_PROMETHEUS_PORT"], "9464", |value| {
        value.parse().map_err(|_| "use a port from 0 to 65535 (0 takes a free one)".to_owned())
    })?;
    Ok(Some(SocketAddr::new(host, port)))
}

const SAMPLERS: &[(&str, (bool, Option<Sampling>))] = &[
    ("always_on", (false, Some(Sampling::Always))),
    ("always_off", (false, Some(Sampling::Never))),
    ("traceidratio", (false, None)),
    ("parentbased_always_on", (true, Some(Sampling::Always))),
    ("parentbased_always_off", (true, Some(Sampling::Never))),
    ("parentbased_traceidratio", (true, None)),
];

fn sampler(config: &Config, source: &mut Source<'_>) -> Result<Sampler, InitError> {
    let ratio = |value: &str| {
        let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| "use a number from 0.0 to 1.0".to_owned())
    };
    if let Some(sampling) = config.sampling {
        if let Sampling::Ratio(share) = sampling {
            ratio(&share.to_string())
                .map_err(|allowed| InitError::invalid("Config::sampling", share.to_string(), allowed))?;
        }
        source.note("sampler", &format!("{sampling:?}"), "code");
        return Ok(Sampler { root: sampling, follows_parent: true });
    }
    let (follows_parent, root) =
        source.pick("sampler", NOT_IN_CODE, &["OTEL_TRACES_SAMPLER"], "parentbased_always_on", |value| {
            one_of(SAMPLERS, value)
        })?;
    let root = match root {
        Some(root) => root,
        None => source.pick("sampler_ratio", NOT_IN_CODE, &["OTEL_TRACES_SAMPLER_ARG"], "1.0", |value| {
            ratio(value).map(Sampling::Ratio)
        })?,
    };
    Ok(Sampler { root, follows_parent })
}

fn queue(source: &mut Source<'_>) -> Result<Queue, InitError> {
    let most = 1 << 20;
    let size = |value: &str| usize::try_from(whole(value, 1, most)?).map_err(|_| "use a smaller number".to_owned());
    Ok(Queue {
        capacity: source.pick("queue_size", NOT_IN_CODE, &["OTEL_BSP_MAX_QUEUE_SIZE"], "16384", size)?,
        batch: source.pick("batch_size", NOT_IN_CODE, &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], "512", size)?,
        delay: source.pick("queue_delay_ms", NOT_IN_CODE, &["OTEL_BSP_SCHEDULE_DELAY"], "1000", |value| {
            milliseconds(value, 1)
        })?,
    })
}

fn propagators(source: &mut Source<'_>) -> Result<Vec<Propagator>, InitError> {
    const KNOWN: &[(&str, Propagator)] = &[
        ("tracecontext", Propagator::TraceContext),
        ("baggage", Propagator::Baggage),
        ("b3", Propagator::B3),
        ("b3multi", Propagator::B3Multi),
        ("jaeger", Propagator::Jaeger),
    ];
    source.pick("propagators", NOT_IN_CODE, &["OTEL_PROPAGATORS"], "tracecontext", |value| match value {
        "none" => Ok(Vec::new()),
        list => {
            let known = list.split(',').map(|name| one_of(KNOWN, name.trim())).collect::<Result<_, _>>();
            known.map_err(|allowed| format!("{allowed} or none"))
        }
    })
}

fn boolean(value: &str) -> Result<bool, String> {
    let (yes, no) = (value.eq_ignore_ascii_case("true"), value.eq_ignore_ascii_case("false"));
    (yes || no).then_some(yes).ok_or_else(|| "use true or false".to_owned())
}

/// `info`, without what the OpenTelemetry SDK tells of its own life.
const LOG_FILTER: &str = "info,opentelemetry=warn";

fn filter(
    source: &mut Source<'_>,
    setting: &str,
    (method, code): (&'static str, &Option<String>),
    variable: &'static str,
    default: &str,
) -> Result<Filter, InitError> {
    let origin = if code.is_some() { method } else { variable };
    let code = code.clone().map(|directives| (method, directives));
    let directives = source.pick(setting, code, &[variable], default, |directives| Ok(directives.to_owned()))?;
    Ok(Filter { origin, directives })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(config: &Config, env: &[(&str, &str)]) -> Result<Settings, InitError> {
        Settings::resolve(config, &|name| {
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
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(by_env(&[("OTEL_TRACES_SAMPLER", " ")]).sampler.root, Sampling::Always);
    }

    #[test]
    fn resource_attributes_are_decoded_and_the_service_name_has_its_own_variable() {
        let list = "service.name=low,team=a%2Cb,deployment.environment.name=staging,service.version=2";
        let settings = by_env(&[("OTEL_RESOURCE_ATTRIBUTES", list)]);
        assert_eq!(settings.service.name, "low");
        assert_eq!((settings.service.version.as_str(), settings.service.environment.as_str()), ("2", "staging"));
        assert_eq!(settings.service.attributes, [("team".to_owned(), "a,b".to_owned())]);
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
    #[cfg(feature = "otlp-http")]
    fn http_appends_the_path_of_the_signal_to_the_common_endpoint_only() {
        let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        let common = by_env(&[http, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/base/")]);
        assert_eq!(common.traces.unwrap().endpoint, "http://h:4318/base/v1/traces");
        let own = by_env(&[http, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4318/mine")]);
        assert_eq!(own.traces.unwrap().endpoint, "http://h:4318/mine");
    }

    #[test]
    fn a_bad_variable_names_itself_its_value_and_what_is_allowed() {
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
            assert!(error.contains(allowed), "{error} should say {allowed}");
        }
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "1.5")];
        let error = resolve(&Config::default(), &ratio).unwrap_err().to_string();
        assert!(error.contains("OTEL_TRACES_SAMPLER_ARG") && error.contains("0.0 to 1.0"), "{error}");
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
    fn the_switch_is_on_or_off_and_nothing_else() {
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
}
