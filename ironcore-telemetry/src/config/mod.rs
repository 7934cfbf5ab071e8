//! The configuration in code, and the settings in force. Code wins over the environment, the environment over the
//! default.

#[cfg(feature = "config-file")]
mod file;
mod layers;
mod not_acted_on;
mod notices;
mod otlp;
mod parse;
mod resolver;
mod sampling;
mod service;
mod setting;
mod settings;
mod spool;
mod table;
#[cfg(test)]
mod tests;

use layers::Layers;
pub(crate) use otlp::Otlp;
#[allow(unused_imports, reason = "of the clients, which are there with their features")]
pub(crate) use otlp::{TlsFiles, read_headers};
#[cfg(feature = "jaeger-sampling")]
pub(crate) use sampling::RemoteSampling;
pub(crate) use service::Service;
pub(crate) use settings::{Environment, Filter, MetricsPush, Queue, Settings, SpanLimits};
#[cfg(feature = "json-logs")]
pub(crate) use settings::{LogFormat, LogLines};
pub(crate) use spool::Spool;
pub(crate) use table::{Detector, Histograms, Propagator, Sampler, Signal, Temporality};

use crate::redact::Secret;
use layers::BoxedLayer;
use std::net::SocketAddr;
#[cfg(all(unix, feature = "spool"))]
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::{Layer, Registry};

/// The configuration for [`init_with`](crate::init_with). A setting that is left open comes from the environment, then
/// from its default; the README's table "Configuration" has each variable with its default.
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
    deployment_environment: Option<String>,
    attributes: Vec<(String, String)>,
    /// A secret until it is checked: it may hold a password, and is refused then.
    endpoint: Option<Secret<String>>,
    protocol: Option<Protocol>,
    headers: Vec<(String, Secret<String>)>,
    export_timeout: Option<Duration>,
    sampling: Option<Sampling>,
    sampling_for: Vec<(String, Sampling)>,
    metrics_listener: MetricsListener,
    log_filter: Option<String>,
    trace_filter: Option<String>,
    log_span_fields: Option<bool>,
    keeps_panic_hook: bool,
    #[cfg(all(unix, feature = "signals"))]
    on_terminate: Option<Duration>,
    #[cfg(all(unix, feature = "spool"))]
    spool: Option<PathBuf>,
    layers: Layers,
    strict: bool,
}

/// Where `/metrics` is served.
#[derive(Debug, Clone, Copy, Default)]
enum MetricsListener {
    /// Where the environment puts it.
    #[default]
    ByEnvironment,
    /// Nowhere.
    Off,
    At(SocketAddr),
}

/// The transport of OTLP to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// gRPC (feature `otlp-grpc`); the default.
    Grpc,
    /// HTTP with protobuf bodies (feature `otlp-http`).
    HttpProtobuf,
}

/// Which traces are recorded when the trace starts in this service. A trace that was started by another service keeps
/// that service's decision. Counters, durations and log lines are complete in any case.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// Every trace.
    Always,
    /// No trace.
    Never,
    /// This share of the traces, from 0.0 to 1.0. The id of a trace decides, as in the SDKs of Rust, Go and Python.
    Ratio(f64),
    /// At most this many traces a second, from 0.0 to 1,000,000.0, in this process. As many as in one second, but at
    /// least one, may start at once; 0.1 is one in ten seconds.
    PerSecond(f64),
}

impl Config {
    /// A configuration for the service of this name (`service.name`).
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..Self::default() }
    }

    /// The version of the service (`service.version`), usually `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Where the service runs (`deployment.environment.name`): production, staging, …
    pub fn deployment_environment(mut self, environment: impl Into<String>) -> Self {
        self.deployment_environment = Some(environment.into());
        self
    }

    /// One more resource attribute, sent with every span and shown on `target_info`.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// The collector, such as `http://127.0.0.1:4317`, `https://collector:4317` (feature `tls`) or
    /// `unix:/run/collector.sock` (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(Secret::new(endpoint.into()));
        self
    }

    /// The transport to the collector (`OTEL_EXPORTER_OTLP_PROTOCOL`).
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// One more header on each export (`OTEL_EXPORTER_OTLP_HEADERS`), for credentials.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Secret<String>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long one export may take (`OTEL_EXPORTER_OTLP_TIMEOUT`, there in milliseconds).
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// Which traces are recorded (`OTEL_TRACES_SAMPLER`); the decision of a parent is kept in any case.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// Which traces are recorded that start at a certain place, instead of what [`sampling`](Self::sampling) or the
    /// environment says: at an operation of a domain (`swap`), at one operation (`swap.quote`), or at a span of some
    /// other name, such as a route (`GET /health`). The longer name counts; a limit
    /// [per second](Sampling::PerSecond) of a domain holds for its operations together.
    ///
    /// The first span of a trace decides for all spans in it. An operation inside of a request belongs to the trace of
    /// the request: there name the route too.
    ///
    /// ```
    /// use ironcore_telemetry as telemetry;
    /// use telemetry::{Config, Sampling};
    ///
    /// let config = Config::new("wallets")
    ///     .sampling(Sampling::PerSecond(50.0))
    ///     .sampling_for("swap", Sampling::Always)
    ///     .sampling_for("POST /api/v1/swaps", Sampling::Always)
    ///     .sampling_for("GET /health", Sampling::Never);
    /// ```
    pub fn sampling_for(mut self, name: impl Into<String>, sampling: Sampling) -> Self {
        self.sampling_for.push((name.into(), sampling));
        self
    }

    /// Where `/metrics` is served (`OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`). `None` opens
    /// no listener: the service then mounts [`scrape::router`](crate::scrape::router) on a router of its own, or
    /// answers with [`scrape::render`](crate::scrape::render).
    ///
    /// ```
    /// use ironcore_telemetry as telemetry;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let guard = telemetry::init_with(telemetry::Config::new("wallets").metrics_listener(None))?;
    /// // A router for internal clients, with the page under `GET /metrics`.
    /// let internal: axum::Router = axum::Router::new().merge(telemetry::scrape::router());
    /// // Or the page as text, for a server that is not axum.
    /// let page = telemetry::scrape::render();
    /// assert!(page.contains("telemetry_queued"));
    /// # drop(internal);
    /// let _ = guard.shutdown(Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics_listener(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.metrics_listener = address.into().map_or(MetricsListener::Off, MetricsListener::At);
        self
    }

    /// Which events are logged, in the syntax of `RUST_LOG`, which it overrides.
    pub fn log_filter(mut self, filter: impl Into<String>) -> Self {
        self.log_filter = Some(filter.into());
        self
    }

    /// Which `tracing` spans become spans of the trace, in the syntax of `RUST_LOG` (`IRONCORE_TRACE_FILTER`). It
    /// applies to the `tracing` spans of your code and of libraries; operations and requests are always spans.
    pub fn trace_filter(mut self, filter: impl Into<String>) -> Self {
        self.trace_filter = Some(filter.into());
        self
    }

    /// Whether a log line has the fields of the `tracing` spans around it (`IRONCORE_LOG_SPAN_FIELDS`); by default it has.
    /// Where several spans have a field of the same name, the innermost one counts, and the line's own field before all.
    pub const fn log_span_fields(mut self, shown: bool) -> Self {
        self.log_span_fields = Some(shown);
        self
    }

    /// Whether each panic is logged as one `ERROR` line with its trace id, location and thread; by default it is. The
    /// panic hook that was set before `init` is called after it in any case.
    pub const fn panic_hook(mut self, installed: bool) -> Self {
        self.keeps_panic_hook = !installed;
        self
    }

    /// Delivers telemetry for at most `limit` when the process gets SIGTERM or SIGINT, then lets the signal end it as it
    /// would have: for a program that handles neither. One that does, and ends by itself, calls
    /// [`shutdown`](crate::TelemetryGuard::shutdown) instead. A second signal ends the process at once.
    ///
    /// ```
    /// use ironcore_telemetry::Config;
    /// use std::time::Duration;
    ///
    /// let config = Config::new("nightly-report").on_terminate(Duration::from_secs(5));
    /// ```
    #[cfg(all(unix, feature = "signals"))]
    pub const fn on_terminate(mut self, limit: Duration) -> Self {
        self.on_terminate = Some(limit);
        self
    }

    /// The folder, by its absolute path, that keeps what waits for export on disk too (`IRONCORE_SPOOL_DIR`): it survives a
    /// kill of the process, and the next start of the service delivers it. It is made if it is not there. Give it to the
    /// processes of one service on one host, and put it on a disk that outlives them: not into the file system of a container.
    /// It holds at most 256 MiB (`IRONCORE_SPOOL_BYTES`).
    ///
    /// ```
    /// use ironcore_telemetry::Config;
    ///
    /// let config = Config::new("wallets").spool("/var/lib/wallets/telemetry");
    /// ```
    #[cfg(all(unix, feature = "spool"))]
    pub fn spool(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Some(folder.into());
        self
    }

    /// One more layer of the `tracing` subscriber that [`init_with`](crate::init_with) installs: Sentry, tokio-console,
    /// `tracing-error`, or a format of your own. Give it a filter of its own (`with_filter`) where it should not see
    /// everything; a filter that is itself a layer would filter this library's layers too. Leave a
    /// `tracing_opentelemetry::layer()` of your own out: this library has one, and a second one panics. The spans that carry an
    /// operation or a request (target `ironcore_telemetry::context`) come into being when `Span::current()` is called; leave
    /// them out by their target if your layer should not see them. A clone of the configuration shares its layers; the first
    /// `init_with` takes them.
    ///
    /// If you build the subscriber yourself, pass it to [`init_on`](crate::init_on).
    ///
    /// ```
    /// use ironcore_telemetry::Config;
    /// use tracing_subscriber::Layer as _;
    /// use tracing_subscriber::filter::LevelFilter;
    ///
    /// let to_stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(LevelFilter::WARN);
    /// let config = Config::new("wallets").layer(to_stderr);
    /// ```
    pub fn layer(self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.add(Box::new(layer));
        self
    }

    /// Takes the layers out.
    pub(crate) fn take_layers(&self) -> Vec<BoxedLayer> {
        self.layers.take()
    }

    pub(crate) const fn installs_panic_hook(&self) -> bool {
        !self.keeps_panic_hook
    }

    #[cfg(all(unix, feature = "signals"))]
    pub(crate) const fn ends_on_signals(&self) -> Option<Duration> {
        self.on_terminate
    }

    /// Refuses what the environment has wrong, instead of warning of it (`IRONCORE_STRICT=true`): a variable that cannot
    /// be used, and a port for `/metrics` that cannot be bound, are then each an [`InitError`](crate::InitError). For
    /// tests of a deployment's environment; a service in production starts without it, and says what it has ignored.
    ///
    /// Values that are set in code are always strict.
    ///
    /// ```
    /// use ironcore_telemetry as telemetry;
    ///
    /// let config = telemetry::Config::new("wallets").strict();
    /// ```
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}
