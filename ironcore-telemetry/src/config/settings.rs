//! The settings in force, from a [`Config`] and an environment.

use super::otlp::{Otlp, otlp};
use super::resolver::{Given, Origin, Resolver};
use super::service::{Service, service};
use super::setting::Setting;
use super::table::{self, Exporter, Propagator, Sampler, Signal};
use super::{Config, MetricsListener, Sampling, parse};
use crate::error::InitError;
use std::net::SocketAddr;
use std::time::Duration;

/// The cargo features of this build that a setting can need.
const COMPILED: &[&str] = &[
    #[cfg(feature = "otlp-grpc")]
    "otlp-grpc",
    #[cfg(feature = "otlp-http")]
    "otlp-http",
    #[cfg(feature = "prometheus")]
    "prometheus",
    #[cfg(feature = "json-logs")]
    "json-logs",
];

/// All settings, checked.
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
    /// Whether a log line has the fields of the `tracing` spans around it.
    pub(crate) log_span_fields: bool,
    /// What is in force and where each value came from, without secrets.
    pub(crate) report: String,
}

/// Bounds of the span queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) capacity: usize,
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

/// Directives in the syntax of `RUST_LOG`; the layer that filters by them parses them.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The variable or `Config` method they come from, for the error message.
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

impl Settings {
    /// Whether telemetry is switched off. This is read before anything else: the switch must work beside a bad setting.
    ///
    /// # Errors
    /// The switch itself is neither `true` nor `false`.
    pub(crate) fn is_disabled(env: &dyn Fn(&str) -> Option<String>) -> Result<bool, InitError> {
        Resolver::new(env, COMPILED).read(&table::DISABLED)
    }

    /// Reads what `config` leaves open from `env`.
    ///
    /// # Errors
    /// The first setting that cannot be used, or needs a cargo feature that is not compiled in.
    pub(crate) fn resolve(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, InitError> {
        Self::resolve_for(COMPILED, config, env)
    }

    /// The same in a build with these cargo features.
    pub(super) fn resolve_for(
        features: &[&'static str],
        config: &Config,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InitError> {
        let mut resolver = Resolver::new(env, features);
        let settings = Self::read(config, &mut resolver)?;
        Ok(Self { report: resolver.report(), ..settings })
    }

    /// Reads all settings in the order of the start-up line; `report` stays empty.
    fn read(config: &Config, resolver: &mut Resolver<'_>) -> Result<Self, InitError> {
        let service = service(config, resolver)?;
        let traces = exporters(resolver, &table::TRACES_EXPORTER)?;
        let metrics = exporters(resolver, &table::METRICS_EXPORTER)?;
        let logs = exporters(resolver, &table::LOGS_EXPORTER)?;
        let prometheus = metrics.contains(&Exporter::Prometheus);
        let otlp_metrics = metrics.contains(&Exporter::Otlp);

        let traces = traces.contains(&Exporter::Otlp).then(|| otlp(config, resolver, Signal::Traces)).transpose()?;
        let metrics_push = otlp_metrics.then(|| metrics_push(config, resolver)).transpose()?;
        Ok(Self {
            service,
            traces,
            prometheus,
            metrics_listener: metrics_listener(config, resolver, prometheus)?,
            metrics_push,
            sampler: sampler(config, resolver)?,
            queue: Queue {
                capacity: resolver.read(&table::QUEUE_SIZE)?,
                batch: resolver.read(&table::BATCH_SIZE)?,
                delay: resolver.read(&table::QUEUE_DELAY)?,
            },
            propagators: resolver.read(&table::PROPAGATORS)?,
            logs: logs.contains(&Exporter::Console),
            log_filter: filter(resolver, &table::LOG_FILTER, "Config::log_filter", config.log_filter.as_deref())?,
            trace_filter: filter(
                resolver,
                &table::TRACE_FILTER,
                "Config::trace_filter",
                config.trace_filter.as_deref(),
            )?,
            log_span_fields: config.has_log_span_fields(),
            report: String::new(),
        })
    }
}

/// The exporters of one signal. None of them turns the signal off.
fn exporters(resolver: &mut Resolver<'_>, setting: &Setting<Vec<Exporter>>) -> Result<Vec<Exporter>, InitError> {
    let (exporters, origin) = resolver.read_with_origin(setting, None)?;
    for exporter in &exporters {
        let (value, feature, instead) = match exporter {
            // The feature is that of its protocol.
            Exporter::Otlp => continue,
            Exporter::Prometheus => {
                ("prometheus", "prometheus", "set OTEL_METRICS_EXPORTER=otlp or OTEL_METRICS_EXPORTER=none")
            }
            Exporter::Console => ("console", "json-logs", "set OTEL_LOGS_EXPORTER=none"),
        };
        resolver.require(feature, value, origin, || instead.to_owned())?;
    }
    Ok(exporters)
}

fn metrics_push(config: &Config, resolver: &mut Resolver<'_>) -> Result<(Otlp, Duration), InitError> {
    let otlp = otlp(config, resolver, Signal::Metrics)?;
    Ok((otlp, resolver.read(&table::METRIC_INTERVAL)?))
}

fn metrics_listener(
    config: &Config,
    resolver: &mut Resolver<'_>,
    prometheus: bool,
) -> Result<Option<SocketAddr>, InitError> {
    match config.metrics_listener {
        MetricsListener::At(address) if prometheus => {
            resolver.note("metrics_listener", &address.to_string(), Origin::Code("Config::metrics_listener"));
            Ok(Some(address))
        }
        MetricsListener::At(address) => {
            let allowed = "add prometheus to OTEL_METRICS_EXPORTER, or open no listener";
            Err(InitError::invalid("Config::metrics_listener", address.to_string(), allowed))
        }
        MetricsListener::ByEnvironment if prometheus => {
            let host = resolver.read(&table::METRICS_HOST)?;
            Ok(Some(SocketAddr::new(host, resolver.read(&table::METRICS_PORT)?)))
        }
        MetricsListener::ByEnvironment | MetricsListener::Off => Ok(None),
    }
}

fn sampler(config: &Config, resolver: &mut Resolver<'_>) -> Result<Sampler, InitError> {
    if let Some(root) = config.sampling {
        if let Sampling::Ratio(ratio) = root {
            parse::check_ratio(ratio)
                .map_err(|allowed| InitError::invalid("Config::sampling", ratio.to_string(), allowed))?;
        }
        resolver.note(table::SAMPLER.key, &format!("{root:?}"), Origin::Code("Config::sampling"));
        return Ok(Sampler { root, follows_parent: true });
    }
    let mut sampler = resolver.read(&table::SAMPLER)?;
    if let Sampling::Ratio(ratio) = &mut sampler.root {
        *ratio = resolver.read(&table::SAMPLER_RATIO)?;
    }
    Ok(sampler)
}

fn filter(
    resolver: &mut Resolver<'_>,
    setting: &Setting<String>,
    method: &'static str,
    in_code: Option<&str>,
) -> Result<Filter, InitError> {
    let in_code = in_code.map(|directives| Given::Text(Origin::Code(method), directives));
    let (directives, origin) = resolver.read_with_origin(setting, in_code)?;
    Ok(Filter { origin: origin.name(), directives })
}
