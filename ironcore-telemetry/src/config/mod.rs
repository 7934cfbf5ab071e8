//! What can be set, in code and by environment. Code wins over the environment, the environment over the default.

mod otlp;
mod service;
mod settings;
mod source;

pub(crate) use otlp::Otlp;
pub(crate) use service::Service;
pub(crate) use settings::{Filter, Propagator, Queue, Sampler, Settings};

use crate::redact::Secret;
use std::net::SocketAddr;
use std::time::Duration;

/// What [`init_with`](crate::init_with) is asked for; everything left open comes from the environment, then from safe
/// defaults.
///
/// ```
/// use ironcore_telemetry as telemetry;
/// use telemetry::{Config, Sampling};
///
/// let config = Config::new("ironcore")
///     .version(env!("CARGO_PKG_VERSION"))
///     .deployment_environment("production")
///     .sampling(Sampling::Ratio(0.1));
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "pass the configuration to telemetry::init_with"]
pub struct Config {
    service: Option<String>,
    version: Option<String>,
    environment: Option<String>,
    attributes: Vec<(String, String)>,
    /// A secret until it is checked: it may hold a password, which is then refused.
    endpoint: Option<Secret<String>>,
    protocol: Option<Protocol>,
    headers: Vec<(String, Secret<String>)>,
    export_timeout: Option<Duration>,
    sampling: Option<Sampling>,
    metrics_listener: MetricsListener,
    log_filter: Option<String>,
    trace_filter: Option<String>,
}

/// Where `/metrics` is served.
#[derive(Debug, Clone, Copy, Default)]
enum MetricsListener {
    /// As the environment says.
    #[default]
    ByEnvironment,
    /// Nowhere.
    Off,
    At(SocketAddr),
}

/// How OTLP travels to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC, port 4317 by default (feature `otlp-grpc`).
    Grpc,
    /// HTTP with protobuf bodies, port 4318 by default (feature `otlp-http`).
    HttpProtobuf,
}

/// Which traces are recorded when this service is the first of the trace. A trace that another service began keeps
/// that service's decision.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// Every trace.
    Always,
    /// No trace; counters, durations and logs are not affected.
    Never,
    /// This share of the traces, from 0.0 to 1.0.
    Ratio(f64),
}

impl Config {
    /// A configuration for the service of this name (`service.name`).
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..Self::default() }
    }

    /// The version of the service (`service.version`), mostly `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Where the service runs (`deployment.environment.name`): production, staging, …
    pub fn deployment_environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// One more resource attribute, sent with every span and shown on `target_info`.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// The collector, such as `http://127.0.0.1:4317` (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(Secret::new(endpoint.into()));
        self
    }

    /// How to speak to the collector (`OTEL_EXPORTER_OTLP_PROTOCOL`).
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// One more header on each export (`OTEL_EXPORTER_OTLP_HEADERS`), for credentials.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret<String>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long one export may take (`OTEL_EXPORTER_OTLP_TIMEOUT`, milliseconds there; 10 s by default).
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// Which traces are recorded (`OTEL_TRACES_SAMPLER`); the caller's decision is kept in any case.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// Where `/metrics` is served (`OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT`; 127.0.0.1:9464 by default). `None`
    /// opens no listener: mount `telemetry::scrape::router()` on a router of your own instead.
    pub fn metrics_listener(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.metrics_listener = address.into().map_or(MetricsListener::Off, MetricsListener::At);
        self
    }

    /// Which events are logged, in the syntax of `RUST_LOG`, which it overrides (`info` by default).
    pub fn log_filter(mut self, filter: impl Into<String>) -> Self {
        self.log_filter = Some(filter.into());
        self
    }

    /// Which `tracing` spans become spans of the trace, in the syntax of `RUST_LOG` (`IRONCORE_TRACE_FILTER`; `info` by
    /// default). Operations and requests are always spans: this speaks of the spans of other crates and your own.
    pub fn trace_filter(mut self, filter: impl Into<String>) -> Self {
        self.trace_filter = Some(filter.into());
        self
    }
}
