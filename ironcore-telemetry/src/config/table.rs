//! The table of settings: the one place of every variable, default and bound. A test compares README's table with it.

use super::parse;
use super::sampling::RemoteSampling;
use super::setting::{Setting, Show};
use super::{Protocol, Sampling};
use crate::redact::Secret;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// An hour in milliseconds; nothing in telemetry takes longer.
const HOUR: u64 = 3_600_000;
/// Bounds of times, in milliseconds.
pub(super) const TIMES: RangeInclusive<u64> = 1..=HOUR;
/// Bounds of the interval between pushes, and between questions how to sample, in milliseconds.
pub(super) const INTERVALS: RangeInclusive<u64> = 100..=HOUR;
/// Bounds of queues and batches, in spans.
const SIZES: RangeInclusive<usize> = 1..=1 << 20;
/// Bounds of the memory of a queue, in bytes.
const QUEUE_MEMORY: RangeInclusive<usize> = 1 << 20..=1 << 30;
/// Bounds of the size of a request, in bytes; OTLP advises receivers to take no more than 64 MiB.
const BATCH_MEMORY: RangeInclusive<usize> = 64 << 10..=64 << 20;
/// Bounds of the spool, in bytes.
const SPOOL_SIZES: RangeInclusive<u64> = 16 << 20..=1 << 40;
/// Bounds of the number of requests that are on their way.
const CONCURRENCIES: RangeInclusive<usize> = 1..=64;

pub(super) const DISABLED: Setting<bool> = Setting {
    key: "disabled",
    variables: &["OTEL_SDK_DISABLED"],
    default: || false,
    parse: parse::boolean,
    show: Show::Plain(ToString::to_string),
};

pub(super) const STRICT: Setting<bool> = Setting {
    key: "strict",
    variables: &["IRONCORE_STRICT"],
    default: || false,
    parse: parse::boolean,
    show: Show::Plain(ToString::to_string),
};

pub(super) const SERVICE_NAME: Setting<String> = Setting {
    key: "service.name",
    variables: &["OTEL_SERVICE_NAME"],
    default: || format!("unknown_service:{}", program()),
    parse: |text| match text {
        "" => Err("give a name that is not empty".into()),
        name => Ok(name.to_owned()),
    },
    show: Show::Plain(String::clone),
};

/// The attributes of the resource. The name, the version and the environment of the service have settings of their own.
pub(super) const RESOURCE_ATTRIBUTES: Setting<Vec<(String, String)>> = Setting {
    key: "resource_attributes",
    variables: &["OTEL_RESOURCE_ATTRIBUTES"],
    default: Vec::new,
    parse: parse::attributes,
    show: Show::Unreported,
};

pub(super) const SERVICE_VERSION: Setting<String> = unreported_attribute("service.version");
pub(super) const DEPLOYMENT_ENVIRONMENT: Setting<String> = unreported_attribute("deployment.environment.name");

const fn unreported_attribute(key: &'static str) -> Setting<String> {
    Setting {
        key,
        variables: &[],
        default: || "unknown".to_owned(),
        parse: |text| Ok(text.to_owned()),
        show: Show::Unreported,
    }
}

/// Where the data of a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exporter {
    Otlp,
    Prometheus,
    Console,
}

const TRACES_EXPORTERS: &[(&str, Exporter)] = &[("otlp", Exporter::Otlp)];
const METRICS_EXPORTERS: &[(&str, Exporter)] = &[("prometheus", Exporter::Prometheus), ("otlp", Exporter::Otlp)];
const LOGS_EXPORTERS: &[(&str, Exporter)] = &[("console", Exporter::Console), ("otlp", Exporter::Otlp)];

pub(super) const TRACES_EXPORTER: Setting<Vec<Exporter>> = Setting {
    key: "traces",
    variables: &["OTEL_TRACES_EXPORTER"],
    default: || vec![Exporter::Otlp],
    parse: |text| parse::some_of(TRACES_EXPORTERS, text),
    show: Show::Plain(|exporters| parse::names_of(TRACES_EXPORTERS, exporters)),
};

pub(super) const METRICS_EXPORTER: Setting<Vec<Exporter>> = Setting {
    key: "metrics",
    variables: &["OTEL_METRICS_EXPORTER"],
    default: || vec![Exporter::Prometheus],
    parse: |text| parse::some_of(METRICS_EXPORTERS, text),
    show: Show::Plain(|exporters| parse::names_of(METRICS_EXPORTERS, exporters)),
};

pub(super) const LOGS_EXPORTER: Setting<Vec<Exporter>> = Setting {
    key: "logs",
    variables: &["OTEL_LOGS_EXPORTER"],
    default: || vec![Exporter::Console],
    parse: |text| parse::some_of(LOGS_EXPORTERS, text),
    show: Show::Plain(|exporters| parse::names_of(LOGS_EXPORTERS, exporters)),
};

/// A signal that has OTLP variables of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    /// The value of the label `signal`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    const fn either(
        self,
        traces: &'static [&'static str; 2],
        metrics: &'static [&'static str; 2],
    ) -> &'static [&'static str] {
        match self {
            Self::Traces => traces,
            Self::Metrics => metrics,
        }
    }
}

const PROTOCOLS: &[(&str, Protocol)] = &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

impl Protocol {
    /// Its name in `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub(crate) fn name(self) -> &'static str {
        parse::name_of(PROTOCOLS, &self)
    }
}

pub(super) const fn protocol(signal: Signal) -> Setting<Protocol> {
    Setting {
        key: "protocol",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
            &["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"],
        ),
        default: || Protocol::Grpc,
        parse: |text| parse::one_of(PROTOCOLS, text),
        show: Show::Plain(|protocol| protocol.name().to_owned()),
    }
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
}

const COMPRESSIONS: &[(&str, Compression)] = &[("none", Compression::None), ("gzip", Compression::Gzip)];

pub(super) const fn compression(signal: Signal) -> Setting<Compression> {
    Setting {
        key: "compression",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
            &["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
        ),
        default: || Compression::None,
        parse: |text| parse::one_of(COMPRESSIONS, text),
        show: Show::Plain(|compression| parse::name_of(COMPRESSIONS, compression).to_owned()),
    }
}

pub(super) const fn endpoint(signal: Signal, protocol: Protocol) -> Setting<String> {
    Setting {
        key: "endpoint",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
            &["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
        ),
        default: match protocol {
            Protocol::Grpc => || "http://localhost:4317".to_owned(),
            Protocol::HttpProtobuf => || "http://localhost:4318".to_owned(),
        },
        parse: match protocol {
            Protocol::Grpc => parse::grpc_endpoint,
            Protocol::HttpProtobuf => parse::http_endpoint,
        },
        show: Show::Plain(String::clone),
    }
}

pub(super) const fn headers(signal: Signal) -> Setting<Vec<(String, Secret<String>)>> {
    Setting {
        key: "headers",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
            &["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"],
        ),
        default: Vec::new,
        parse: parse::headers,
        show: Show::Secret,
    }
}

/// More headers, which may change.
pub(super) const HEADERS_FILE: Setting<Option<PathBuf>> = file("headers_file", &["IRONCORE_OTLP_HEADERS_FILE"]);

/// Whether an endpoint without a scheme is one without TLS, and whether that is meant.
pub(super) const fn insecure(signal: Signal) -> Setting<bool> {
    Setting {
        key: "insecure",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"],
            &["OTEL_EXPORTER_OTLP_METRICS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"],
        ),
        default: || false,
        parse: parse::boolean,
        show: Show::Plain(ToString::to_string),
    }
}

pub(super) const fn certificate(signal: Signal) -> Setting<Option<PathBuf>> {
    let variables = signal.either(
        &["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
        &["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
    );
    file("certificate", variables)
}

pub(super) const fn client_certificate(signal: Signal) -> Setting<Option<PathBuf>> {
    let variables = signal.either(
        &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
        &["OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"],
    );
    file("client_certificate", variables)
}

pub(super) const fn client_key(signal: Signal) -> Setting<Option<PathBuf>> {
    let variables = signal.either(
        &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
        &["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"],
    );
    file("client_key", variables)
}

const fn file(key: &'static str, variables: &'static [&'static str]) -> Setting<Option<PathBuf>> {
    Setting {
        key,
        variables,
        default: || None,
        parse: |text| Ok(Some(PathBuf::from(text))),
        show: Show::Plain(|path| path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())),
    }
}

pub(super) const fn export_timeout(signal: Signal) -> Setting<Duration> {
    Setting {
        key: "export_timeout_ms",
        variables: signal.either(
            &["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
            &["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
        ),
        default: || Duration::from_secs(10),
        parse: |text| parse::milliseconds(text, &TIMES),
        show: MILLISECONDS,
    }
}

const MILLISECONDS: Show<Duration> = Show::Plain(|time| time.as_millis().to_string());

pub(super) const METRIC_INTERVAL: Setting<Duration> = Setting {
    key: "metric_interval_ms",
    variables: &["OTEL_METRIC_EXPORT_INTERVAL"],
    default: || Duration::from_secs(60),
    parse: |text| parse::milliseconds(text, &INTERVALS),
    show: MILLISECONDS,
};

pub(super) const METRIC_TIMEOUT: Setting<Duration> = Setting {
    key: "metric_timeout_ms",
    variables: &["OTEL_METRIC_EXPORT_TIMEOUT"],
    default: || Duration::from_secs(30),
    parse: |text| parse::milliseconds(text, &TIMES),
    show: MILLISECONDS,
};

/// Since when the pushed points of counters and histograms count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// Since their series was born.
    Cumulative,
    /// Since the point before.
    Delta,
    /// As `Delta`, but for what callbacks observe.
    LowMemory,
}

const TEMPORALITIES: &[(&str, Temporality)] =
    &[("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta), ("lowmemory", Temporality::LowMemory)];

pub(super) const TEMPORALITY: Setting<Temporality> = Setting {
    key: "temporality",
    variables: &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
    default: || Temporality::Cumulative,
    parse: |text| parse::one_of(TEMPORALITIES, text),
    show: Show::Plain(|temporality| parse::name_of(TEMPORALITIES, temporality).to_owned()),
};

/// The buckets of pushed histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Histograms {
    /// With the bounds of their instrument.
    Explicit,
    /// With bounds that grow exponentially.
    Exponential,
}

const AGGREGATIONS: &[(&str, Histograms)] = &[
    ("explicit_bucket_histogram", Histograms::Explicit),
    ("base2_exponential_bucket_histogram", Histograms::Exponential),
];

pub(super) const HISTOGRAMS: Setting<Histograms> = Setting {
    key: "histograms",
    variables: &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"],
    default: || Histograms::Explicit,
    parse: |text| parse::one_of(AGGREGATIONS, text),
    show: Show::Plain(|buckets| parse::name_of(AGGREGATIONS, buckets).to_owned()),
};

/// Which measurements may become exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExemplarFilter {
    /// Those of sampled traces.
    TraceBased,
    AlwaysOn,
    AlwaysOff,
}

const EXEMPLAR_FILTERS: &[(&str, ExemplarFilter)] = &[
    ("trace_based", ExemplarFilter::TraceBased),
    ("always_on", ExemplarFilter::AlwaysOn),
    ("always_off", ExemplarFilter::AlwaysOff),
];

pub(super) const EXEMPLAR_FILTER: Setting<ExemplarFilter> = Setting {
    key: "exemplars",
    variables: &["OTEL_METRICS_EXEMPLAR_FILTER"],
    default: || ExemplarFilter::TraceBased,
    parse: |text| parse::one_of(EXEMPLAR_FILTERS, text),
    show: Show::Plain(|filter| parse::name_of(EXEMPLAR_FILTERS, filter).to_owned()),
};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) const METRICS_HOST: Setting<IpAddr> = Setting {
    key: "metrics_host",
    variables: &["OTEL_EXPORTER_PROMETHEUS_HOST"],
    default: || LOCALHOST,
    parse: |text| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare {
            name if name.eq_ignore_ascii_case("localhost") => Ok(LOCALHOST),
            address => address.parse().map_err(|_| "use localhost or an IP address, as in 127.0.0.1 or [::1]".into()),
        }
    },
    show: Show::Plain(|address| if *address == LOCALHOST { "localhost".to_owned() } else { address.to_string() }),
};

pub(super) const METRICS_PORT: Setting<u16> = Setting {
    key: "metrics_port",
    variables: &["OTEL_EXPORTER_PROMETHEUS_PORT"],
    default: || 9464,
    parse: |text| text.parse().map_err(|_| "use a port from 0 to 65535 (0 takes a free one)".into()),
    show: Show::Plain(u16::to_string),
};

/// The decision for traces that start here, and whether a parent's decision comes first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    pub(crate) root: Sampling,
    pub(crate) follows_parent: bool,
}

/// A sampler of the specification: how traces are decided that start here, and whether a parent's decision comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamedSampler {
    pub(super) root: RootSampler,
    pub(super) follows_parent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RootSampler {
    AlwaysOn,
    AlwaysOff,
    /// By the ratio of `OTEL_TRACES_SAMPLER_ARG`.
    TraceIdRatio,
    /// By what the endpoint of `OTEL_TRACES_SAMPLER_ARG` says.
    JaegerRemote,
}

const SAMPLERS: &[(&str, NamedSampler)] = &[
    ("always_on", NamedSampler { root: RootSampler::AlwaysOn, follows_parent: false }),
    ("always_off", NamedSampler { root: RootSampler::AlwaysOff, follows_parent: false }),
    ("traceidratio", NamedSampler { root: RootSampler::TraceIdRatio, follows_parent: false }),
    ("jaeger_remote", NamedSampler { root: RootSampler::JaegerRemote, follows_parent: false }),
    ("parentbased_always_on", NamedSampler { root: RootSampler::AlwaysOn, follows_parent: true }),
    ("parentbased_always_off", NamedSampler { root: RootSampler::AlwaysOff, follows_parent: true }),
    ("parentbased_traceidratio", NamedSampler { root: RootSampler::TraceIdRatio, follows_parent: true }),
    ("parentbased_jaeger_remote", NamedSampler { root: RootSampler::JaegerRemote, follows_parent: true }),
];

pub(super) const SAMPLER: Setting<NamedSampler> = Setting {
    key: "sampler",
    variables: &["OTEL_TRACES_SAMPLER"],
    default: || NamedSampler { root: RootSampler::AlwaysOn, follows_parent: true },
    parse: |text| parse::one_of(SAMPLERS, text),
    show: Show::Plain(|sampler| parse::name_of(SAMPLERS, sampler).to_owned()),
};

pub(super) const SAMPLER_RATIO: Setting<f64> = Setting {
    key: "sampler_ratio",
    variables: &["OTEL_TRACES_SAMPLER_ARG"],
    default: || 1.0,
    parse: parse::ratio,
    show: Show::Plain(|ratio| format!("{ratio:?}")),
};

/// The same variable, for the samplers that are told by an endpoint. The initial rate is that of Jaeger's clients.
pub(super) const SAMPLER_REMOTE: Setting<RemoteSampling> = Setting {
    key: "sampler_remote",
    variables: SAMPLER_RATIO.variables,
    default: || RemoteSampling {
        endpoint: "http://localhost:5778/sampling".to_owned(),
        interval: Duration::from_secs(60),
        initial_ratio: 0.001,
    },
    parse: parse::remote_sampling,
    show: Show::Plain(|remote| {
        let RemoteSampling { endpoint, interval, initial_ratio } = remote;
        let interval = interval.as_millis();
        format!("endpoint={endpoint},pollingIntervalMs={interval},initialSamplingRate={initial_ratio:?}")
    }),
};

pub(super) const QUEUE_SIZE: Setting<usize> = Setting {
    key: "queue_size",
    variables: &["OTEL_BSP_MAX_QUEUE_SIZE"],
    default: || 65_536,
    parse: |text| parse::whole(text, &SIZES),
    show: Show::Plain(usize::to_string),
};

pub(super) const BATCH_SIZE: Setting<usize> = Setting {
    key: "batch_size",
    variables: &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
    default: || 512,
    parse: |text| parse::whole(text, &SIZES),
    show: Show::Plain(usize::to_string),
};

pub(super) const QUEUE_BYTES: Setting<usize> = Setting {
    key: "queue_bytes",
    variables: &["IRONCORE_QUEUE_BYTES"],
    default: || 64 << 20,
    parse: |text| parse::whole(text, &QUEUE_MEMORY),
    show: Show::Plain(usize::to_string),
};

pub(super) const BATCH_BYTES: Setting<usize> = Setting {
    key: "batch_bytes",
    variables: &["IRONCORE_BATCH_BYTES"],
    // Below 4 MiB, the usual limit of a gRPC server.
    default: || 7 << 19,
    parse: |text| parse::whole(text, &BATCH_MEMORY),
    show: Show::Plain(usize::to_string),
};

pub(super) const CONCURRENCY: Setting<usize> = Setting {
    key: "export_concurrency",
    variables: &["IRONCORE_EXPORT_CONCURRENCY"],
    default: || 16,
    parse: |text| parse::whole(text, &CONCURRENCIES),
    show: Show::Plain(usize::to_string),
};

pub(super) const QUEUE_DELAY: Setting<Duration> = Setting {
    key: "queue_delay_ms",
    variables: &["OTEL_BSP_SCHEDULE_DELAY"],
    default: || Duration::from_secs(1),
    parse: |text| parse::milliseconds(text, &TIMES),
    show: MILLISECONDS,
};

pub(super) const SPOOL_DIR_ALLOWED: &str = "use the absolute path of a folder";

pub(super) const SPOOL_DIR: Setting<Option<PathBuf>> = Setting {
    key: "spool",
    variables: &["IRONCORE_SPOOL_DIR"],
    default: || None,
    parse: |text| match PathBuf::from(text) {
        path if path.is_absolute() => Ok(Some(path)),
        _ => Err(SPOOL_DIR_ALLOWED.into()),
    },
    show: Show::Plain(|path| path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())),
};

pub(super) const SPOOL_BYTES: Setting<u64> = Setting {
    key: "spool_bytes",
    variables: &["IRONCORE_SPOOL_BYTES"],
    default: || 256 << 20,
    parse: |text| parse::whole(text, &SPOOL_SIZES),
    show: Show::Plain(u64::to_string),
};

/// Bounds of the numbers of things on one span.
const COUNTS: RangeInclusive<u32> = 0..=1024;

pub(super) const SPAN_ATTRIBUTES: Setting<u32> =
    limit("span_attributes", &["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"], || 64);
pub(super) const SPAN_EVENTS: Setting<u32> = limit("span_events", &["OTEL_SPAN_EVENT_COUNT_LIMIT"], || 64);
pub(super) const SPAN_LINKS: Setting<u32> = limit("span_links", &["OTEL_SPAN_LINK_COUNT_LIMIT"], || 32);
pub(super) const EVENT_ATTRIBUTES: Setting<u32> =
    limit("event_attributes", &["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"], || 32);
pub(super) const LINK_ATTRIBUTES: Setting<u32> = limit("link_attributes", &["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"], || 32);

const fn limit(key: &'static str, variables: &'static [&'static str], default: fn() -> u32) -> Setting<u32> {
    let parse = |text: &str| parse::whole(text, &COUNTS);
    Setting { key, variables, default, parse, show: Show::Plain(u32::to_string) }
}

/// What of its surroundings the resource of the process names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detector {
    Host,
    Os,
    Process,
    Container,
    Kubernetes,
    Cloud,
}

const ALL_DETECTORS: &[(&str, Detector)] = &[
    ("host", Detector::Host),
    ("os", Detector::Os),
    ("process", Detector::Process),
    ("container", Detector::Container),
    ("kubernetes", Detector::Kubernetes),
    ("cloud", Detector::Cloud),
];

pub(super) const DETECTORS: Setting<Vec<Detector>> = Setting {
    key: "resource_detectors",
    variables: &["IRONCORE_RESOURCE_DETECTORS"],
    default: || ALL_DETECTORS.iter().map(|(_, detector)| *detector).collect(),
    parse: |text| parse::some_of(ALL_DETECTORS, text),
    show: Show::Plain(|detectors| parse::names_of(ALL_DETECTORS, detectors)),
};

/// The header format of a context that crosses a process boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
    B3,
    B3Multi,
    Jaeger,
}

const ALL_PROPAGATORS: &[(&str, Propagator)] = &[
    ("tracecontext", Propagator::TraceContext),
    ("baggage", Propagator::Baggage),
    ("b3", Propagator::B3),
    ("b3multi", Propagator::B3Multi),
    ("jaeger", Propagator::Jaeger),
];

pub(super) const PROPAGATORS: Setting<Vec<Propagator>> = Setting {
    key: "propagators",
    variables: &["OTEL_PROPAGATORS"],
    default: || vec![Propagator::TraceContext],
    parse: |text| parse::some_of(ALL_PROPAGATORS, text),
    show: Show::Plain(|propagators| parse::names_of(ALL_PROPAGATORS, propagators)),
};

/// Which events are logged; the layer parses the directives. By default without the SDK's messages about itself.
pub(super) const LOG_FILTER: Setting<String> = Setting {
    key: "log_filter",
    variables: &["RUST_LOG"],
    default: || "info,opentelemetry=warn".to_owned(),
    parse: |text| Ok(text.to_owned()),
    show: Show::Plain(String::clone),
};

/// Whether secrets are looked for, and masked.
pub(super) const REDACT: Setting<bool> = Setting {
    key: "redact",
    variables: &["IRONCORE_REDACT"],
    default: || true,
    parse: parse::boolean,
    show: Show::Plain(ToString::to_string),
};

/// Which form log lines have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatChoice {
    /// For a person at a terminal, else JSON.
    Auto,
    Json,
    Logfmt,
    Pretty,
}

const FORMATS: &[(&str, FormatChoice)] = &[
    ("auto", FormatChoice::Auto),
    ("json", FormatChoice::Json),
    ("logfmt", FormatChoice::Logfmt),
    ("pretty", FormatChoice::Pretty),
];

pub(super) const LOG_FORMAT: Setting<FormatChoice> = Setting {
    key: "log_format",
    variables: &["IRONCORE_LOG_FORMAT"],
    default: || FormatChoice::Auto,
    parse: |text| parse::one_of(FORMATS, text),
    show: Show::Plain(|format| parse::name_of(FORMATS, format).to_owned()),
};

/// Whether a log line has the fields of the `tracing` spans around it.
pub(super) const LOG_SPAN_FIELDS: Setting<bool> = Setting {
    key: "log_span_fields",
    variables: &["IRONCORE_LOG_SPAN_FIELDS"],
    default: || true,
    parse: parse::boolean,
    show: Show::Plain(ToString::to_string),
};

/// Which `tracing` spans become spans of the trace; the layer parses the directives.
pub(super) const TRACE_FILTER: Setting<String> = Setting {
    key: "trace_filter",
    variables: &["IRONCORE_TRACE_FILTER"],
    default: || "info".to_owned(),
    parse: |text| Ok(text.to_owned()),
    show: Show::Plain(String::clone),
};

/// The file name of the running program.
pub(super) fn program() -> String {
    let path = std::env::current_exe().ok();
    path.as_deref().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned()
}

/// Every variable with its default as text, `none` for an empty one that is never shown.
#[cfg(test)]
pub(super) fn defaults() -> std::collections::BTreeMap<&'static str, String> {
    fn add<T>(setting: &Setting<T>) -> impl Iterator<Item = (&'static str, String)> + use<T> {
        let default = match setting.show {
            Show::Plain(show) => show(&(setting.default)()),
            Show::Secret | Show::Unreported => "none".to_owned(),
        };
        setting.variables.iter().map(move |variable| (*variable, default.clone()))
    }
    let per_signal = [Signal::Traces, Signal::Metrics].into_iter().flat_map(|signal| {
        add(&protocol(signal))
            .chain(add(&compression(signal)))
            .chain(add(&endpoint(signal, Protocol::Grpc)))
            .chain(add(&headers(signal)))
            .chain(add(&insecure(signal)))
            .chain(add(&certificate(signal)))
            .chain(add(&client_certificate(signal)))
            .chain(add(&client_key(signal)))
            .chain(add(&export_timeout(signal)))
    });
    let exporters = [TRACES_EXPORTER, METRICS_EXPORTER, LOGS_EXPORTER];
    let sizes = [QUEUE_SIZE, QUEUE_BYTES, BATCH_SIZE, BATCH_BYTES, CONCURRENCY];
    let times = [METRIC_INTERVAL, METRIC_TIMEOUT, QUEUE_DELAY];
    let texts = [SERVICE_NAME, LOG_FILTER, TRACE_FILTER];
    let switches = [DISABLED, STRICT, REDACT, LOG_SPAN_FIELDS];
    let limits = [SPAN_ATTRIBUTES, SPAN_EVENTS, SPAN_LINKS, EVENT_ATTRIBUTES, LINK_ATTRIBUTES];
    per_signal
        .chain(exporters.iter().flat_map(add))
        .chain(sizes.iter().flat_map(add))
        .chain(times.iter().flat_map(add))
        .chain(texts.iter().flat_map(add))
        .chain(switches.iter().flat_map(add))
        .chain(limits.iter().flat_map(add))
        .chain(add(&HEADERS_FILE))
        .chain(add(&SPOOL_DIR))
        .chain(add(&SPOOL_BYTES))
        .chain(add(&DETECTORS))
        .chain(add(&LOG_FORMAT))
        .chain(add(&TEMPORALITY))
        .chain(add(&HISTOGRAMS))
        .chain(add(&EXEMPLAR_FILTER))
        .chain(add(&RESOURCE_ATTRIBUTES))
        .chain(add(&METRICS_HOST))
        .chain(add(&METRICS_PORT))
        .chain(add(&SAMPLER))
        .chain(add(&SAMPLER_RATIO))
        .chain(add(&PROPAGATORS))
        .collect()
}
