//! The settings in force, from a [`Config`] and an environment.

use super::not_acted_on;
use super::notices::Notices;
use super::otlp::{Otlp, otlp};
use super::resolver::{Given, Origin, Resolver};
use super::sampling::{RemoteSampling, sampler, sampling_for};
use super::service::{Service, service};
use super::setting::Setting;
use super::spool::{Spool, spool};
use super::table::{
    self, Detector, ExemplarFilter, Exporter, FormatChoice, Histograms, Propagator, Sampler, Signal, Temporality,
};
use super::{Config, MetricsListener, Sampling};
use crate::error::InitError;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

/// The cargo features of this build that a setting can need.
const COMPILED: &[&str] = &[
    #[cfg(feature = "otlp-grpc")]
    "otlp-grpc",
    #[cfg(feature = "otlp-http")]
    "otlp-http",
    #[cfg(feature = "tls")]
    "tls",
    #[cfg(feature = "prometheus")]
    "prometheus",
    #[cfg(feature = "json-logs")]
    "json-logs",
    #[cfg(feature = "jaeger-sampling")]
    "jaeger-sampling",
    #[cfg(all(unix, feature = "spool"))]
    "spool",
];

/// All settings, checked.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Settings {
    pub(crate) service: Service,
    /// What of its surroundings the resource names.
    pub(crate) detectors: Vec<Detector>,
    /// Where spans go; `None` records none, and passes the context of traces on.
    pub(crate) traces: Option<Otlp>,
    pub(crate) sampler: Sampler,
    /// For traces that start at an operation of a domain, or at a span of this name; of the same names the last counts.
    pub(crate) sampling_for: Vec<(String, Sampling)>,
    /// Where to ask how to sample; the sampler decides until the first answer.
    #[cfg_attr(not(feature = "jaeger-sampling"), allow(dead_code, reason = "nobody asks without the feature"))]
    pub(crate) remote_sampling: Option<RemoteSampling>,
    pub(crate) limits: SpanLimits,
    pub(crate) queue: Queue,
    /// Where what waits for export is kept on disk too; `None` keeps it in memory only.
    pub(crate) spool: Option<Spool>,
    pub(crate) propagators: Vec<Propagator>,
    /// Whether the `/metrics` page holds the instruments of users and libraries.
    pub(crate) prometheus: bool,
    /// Where the `/metrics` page is served; `None` opens no listener.
    pub(crate) metrics_listener: Option<SocketAddr>,
    /// How metrics are pushed; `None` pushes nothing.
    pub(crate) metrics_push: Option<MetricsPush>,
    /// Whether buckets and counters have exemplars.
    pub(crate) exemplars: bool,
    /// How log lines are written to stdout; `None` writes none.
    pub(crate) log_lines: Option<LogLines>,
    pub(crate) trace_filter: Filter,
    /// Whether secrets are masked.
    pub(crate) redact: bool,
    /// Whether what the environment keeps from working is an error, and not a warning.
    pub(crate) strict: bool,
    /// What is in force and where each value came from, without secrets.
    pub(crate) report: String,
    /// What of the environment is not in force.
    pub(crate) notices: Notices,
}

/// What settings are read from, besides the configuration in code.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// The value of a variable. Bytes that are not UTF-8 are replacement characters.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the layers can read a directive in the syntax of `RUST_LOG`; else why not.
    pub(crate) check_directive: fn(&str) -> Result<(), String>,
}

/// How much one span may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanLimits {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) attributes_per_event: u32,
    pub(crate) attributes_per_link: u32,
}

/// Bounds of the span queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) capacity: usize,
    /// The most bytes that wait.
    pub(crate) bytes: usize,
    pub(crate) batch: usize,
    /// The most bytes of a request.
    pub(crate) batch_bytes: usize,
    pub(crate) delay: Duration,
    /// The most requests that are on their way at the same time.
    pub(crate) concurrency: usize,
}

/// How metrics are pushed over OTLP.
#[derive(Debug)]
pub(crate) struct MetricsPush {
    pub(crate) otlp: Otlp,
    pub(crate) interval: Duration,
    /// How long one push may take, with all of its requests.
    pub(crate) timeout: Duration,
    pub(crate) temporality: Temporality,
    pub(crate) histograms: Histograms,
}

/// How log lines are written.
#[derive(Debug)]
pub(crate) struct LogLines {
    pub(crate) filter: Filter,
    pub(crate) format: LogFormat,
    /// Whether a line has the fields of the `tracing` spans around it.
    pub(crate) span_fields: bool,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// For a person at a terminal.
    Pretty {
        colour: bool,
    },
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
        InitError::invalid(self.origin, self.directives.as_str(), Self::allowed(error))
    }

    fn allowed(error: &dyn std::fmt::Display) -> String {
        format!("{error}; use directives as in info,my_crate=debug")
    }
}

impl Default for SpanLimits {
    fn default() -> Self {
        let default = |setting: &Setting<u32>| (setting.default)();
        Self {
            attributes: default(&table::SPAN_ATTRIBUTES),
            events: default(&table::SPAN_EVENTS),
            links: default(&table::SPAN_LINKS),
            attributes_per_event: default(&table::EVENT_ATTRIBUTES),
            attributes_per_link: default(&table::LINK_ATTRIBUTES),
        }
    }
}

impl Settings {
    /// Reads what `config` leaves open from the environment; `None` when telemetry is switched off. The switch is read
    /// before anything else: it must work beside a bad setting.
    ///
    /// # Errors
    /// The first value in code that cannot be used, or a default that needs a cargo feature which is not compiled in; in
    /// strict mode also the first variable that cannot be used.
    pub(crate) fn resolve(config: &Config, environment: Environment<'_>) -> Result<Option<Self>, InitError> {
        Self::resolve_for(COMPILED, config, environment)
    }

    /// The same in a build with these cargo features.
    pub(super) fn resolve_for(
        features: &[&'static str],
        config: &Config,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, InitError> {
        let mut resolver = Resolver::new(environment.variable, features);
        resolver.read_file()?;
        let (strict, origin) = resolver
            .read_unnoted(&table::STRICT, config.strict.then_some(Given::Value("Config::strict", true, Ok(()))))?;
        if strict {
            resolver.be_strict();
        }
        let (is_disabled, _) = resolver.read_unnoted(&table::DISABLED, None)?;
        if is_disabled {
            return Ok(None);
        }
        not_acted_on::check(&mut resolver)?;
        let settings = Self::read(config, &mut resolver, environment.check_directive)?;
        resolver.note_value(&table::STRICT, &strict, origin);
        let (report, notices) = resolver.finish();
        Ok(Some(Self { report, notices, ..settings }))
    }

    /// Reads all settings in the order of the start-up line; `report` and `notices` stay empty.
    fn read(
        config: &Config,
        resolver: &mut Resolver<'_>,
        check_directive: fn(&str) -> Result<(), String>,
    ) -> Result<Self, InitError> {
        let service = service(config, resolver)?;
        let detectors = resolver.read(&table::DETECTORS)?;
        let traces = exporters(resolver, &table::TRACES_EXPORTER)?;
        let metrics = exporters(resolver, &table::METRICS_EXPORTER)?;
        let logs = exporters(resolver, &table::LOGS_EXPORTER)?;
        let prometheus = metrics.contains(&Exporter::Prometheus);
        let otlp_metrics = metrics.contains(&Exporter::Otlp);

        let traces = traces.contains(&Exporter::Otlp).then(|| otlp(config, resolver, Signal::Traces)).transpose()?;
        let metrics_push = otlp_metrics.then(|| metrics_push(config, resolver)).transpose()?;
        let metrics_listener = metrics_listener(config, resolver, prometheus)?;
        let (sampler, remote_sampling) = sampler(config, resolver)?;
        Ok(Self {
            service,
            detectors,
            traces,
            prometheus,
            metrics_listener,
            metrics_push,
            exemplars: exemplars(resolver)?,
            sampler,
            sampling_for: sampling_for(config, resolver)?,
            remote_sampling,
            limits: SpanLimits {
                attributes: resolver.read(&table::SPAN_ATTRIBUTES)?,
                events: resolver.read(&table::SPAN_EVENTS)?,
                links: resolver.read(&table::SPAN_LINKS)?,
                attributes_per_event: resolver.read(&table::EVENT_ATTRIBUTES)?,
                attributes_per_link: resolver.read(&table::LINK_ATTRIBUTES)?,
            },
            queue: Queue {
                capacity: resolver.read(&table::QUEUE_SIZE)?,
                bytes: resolver.read(&table::QUEUE_BYTES)?,
                batch: resolver.read(&table::BATCH_SIZE)?,
                batch_bytes: resolver.read(&table::BATCH_BYTES)?,
                delay: resolver.read(&table::QUEUE_DELAY)?,
                concurrency: resolver.read(&table::CONCURRENCY)?,
            },
            spool: spool(config, resolver)?,
            propagators: resolver.read(&table::PROPAGATORS)?,
            log_lines: Some(log_lines(config, resolver, check_directive)?)
                .filter(|_| logs.contains(&Exporter::Console)),
            trace_filter: filter(
                resolver,
                &table::TRACE_FILTER,
                ("Config::trace_filter", config.trace_filter.as_deref()),
                check_directive,
            )?,
            redact: resolver.read(&table::REDACT)?,
            strict: resolver.is_strict(),
            report: String::new(),
            notices: Notices::default(),
        })
    }
}

/// How lines are written.
fn log_lines(
    config: &Config,
    resolver: &mut Resolver<'_>,
    check_directive: fn(&str) -> Result<(), String>,
) -> Result<LogLines, InitError> {
    let in_code = ("Config::log_filter", config.log_filter.as_deref());
    let filter = filter(resolver, &table::LOG_FILTER, in_code, check_directive)?;
    let shown = config.log_span_fields.map(|shown| Given::Value("Config::log_span_fields", shown, Ok(())));
    let (span_fields, _) = resolver.read_with_origin(&table::LOG_SPAN_FIELDS, shown)?;
    let format = log_format(resolver.read(&table::LOG_FORMAT)?, resolver);
    Ok(LogLines { filter, format, span_fields })
}

/// The form of lines, which follows the terminal where it is not set.
fn log_format(chosen: FormatChoice, resolver: &Resolver<'_>) -> LogFormat {
    let is_set = |name| resolver.variable(name).is_some_and(|value| !value.is_empty());
    let is_terminal = || std::io::stdout().is_terminal();
    // The conventions of no-color.org and bixense.com/clicolors.
    let colour = || {
        !is_set("NO_COLOR") && (is_terminal() || resolver.variable("CLICOLOR_FORCE").is_some_and(|value| value != "0"))
    };
    match chosen {
        FormatChoice::Json => LogFormat::Json,
        FormatChoice::Logfmt => LogFormat::Logfmt,
        FormatChoice::Auto if !is_terminal() => LogFormat::Json,
        FormatChoice::Auto | FormatChoice::Pretty => LogFormat::Pretty { colour: colour() },
    }
}

/// The exporters of one signal. None of them means that the signal is not exported.
fn exporters(resolver: &mut Resolver<'_>, setting: &Setting<Vec<Exporter>>) -> Result<Vec<Exporter>, InitError> {
    let (mut exporters, origin) = resolver.read_unnoted(setting, None)?;
    if setting.key == table::LOGS_EXPORTER.key && exporters.contains(&Exporter::Otlp) {
        // Not sent over OTLP yet: the lines go where they go by default.
        resolver.not_acted_on(origin.name());
        exporters = vec![Exporter::Console];
    }
    let forgiven = resolver.forgiven(setting, origin);
    let missing = |exporter: &Exporter| match exporter {
        // What else is wrong with OTLP, its protocol says.
        Exporter::Otlp if forgiven.is_none() => None,
        _ => Some(needs(*exporter)).filter(|(features, ..)| !features.iter().any(|feature| resolver.has(feature))),
    };
    let lacking: Vec<_> = exporters.iter().filter_map(&missing).collect();
    exporters.retain(|exporter| missing(exporter).is_none());
    let used = setting.reported(&exporters).unwrap_or_default();
    for (features, value, instead) in lacking {
        let Some(variable) = forgiven else {
            let feature = features.first().copied().unwrap_or_default();
            return Err(Resolver::missing(feature, value, origin, instead.to_owned()));
        };
        let features = features.join("` or `");
        let allowed = format!("it needs the cargo feature `{features}` of ironcore-telemetry");
        resolver.forgive(setting, (variable, value, origin), allowed, &used);
    }
    resolver.note_value(setting, &exporters, origin);
    Ok(exporters)
}

/// The cargo features of which an exporter needs one, its name, and the way out without them.
const fn needs(exporter: Exporter) -> (&'static [&'static str], &'static str, &'static str) {
    match exporter {
        Exporter::Otlp => (&["otlp-grpc", "otlp-http"], "otlp", "choose another exporter"),
        Exporter::Prometheus => {
            (&["prometheus"], "prometheus", "set OTEL_METRICS_EXPORTER=otlp or OTEL_METRICS_EXPORTER=none")
        }
        Exporter::Console => (&["json-logs"], "console", "set OTEL_LOGS_EXPORTER=none"),
    }
}

fn metrics_push(config: &Config, resolver: &mut Resolver<'_>) -> Result<MetricsPush, InitError> {
    Ok(MetricsPush {
        otlp: otlp(config, resolver, Signal::Metrics)?,
        interval: resolver.read(&table::METRIC_INTERVAL)?,
        timeout: resolver.read(&table::METRIC_TIMEOUT)?,
        temporality: resolver.read(&table::TEMPORALITY)?,
        histograms: resolver.read(&table::HISTOGRAMS)?,
    })
}

/// Whether there are exemplars. An exemplar is a trace that can be looked at, so `always_on` has those of `trace_based`.
fn exemplars(resolver: &mut Resolver<'_>) -> Result<bool, InitError> {
    let setting = &table::EXEMPLAR_FILTER;
    let (mut filter, mut origin) = resolver.read_unnoted(setting, None)?;
    if let (ExemplarFilter::AlwaysOn, Origin::Variable(variable)) = (filter, origin) {
        resolver.not_acted_on(variable);
        (filter, origin) = (ExemplarFilter::TraceBased, Origin::Default(variable));
    }
    resolver.note_value(setting, &filter, origin);
    Ok(filter != ExemplarFilter::AlwaysOff)
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
            let (method, address) = ("Config::metrics_listener", address.to_string());
            let allowed = "add prometheus to OTEL_METRICS_EXPORTER, or open no listener";
            let refused = || InitError::invalid(method, address.clone(), allowed);
            resolver.ignore((method, &address), allowed, "no listener", refused)?;
            Ok(None)
        }
        MetricsListener::ByEnvironment if prometheus => {
            let host = resolver.read(&table::METRICS_HOST)?;
            Ok(Some(SocketAddr::new(host, resolver.read(&table::METRICS_PORT)?)))
        }
        MetricsListener::ByEnvironment | MetricsListener::Off => Ok(None),
    }
}

/// The directives of a filter. Of those of a variable the ones that cannot be read are left out.
fn filter(
    resolver: &mut Resolver<'_>,
    setting: &Setting<String>,
    (method, in_code): (&'static str, Option<&str>),
    check: fn(&str) -> Result<(), String>,
) -> Result<Filter, InitError> {
    let (mut directives, mut origin) = resolver.read_unnoted(setting, in_code.map(|text| Given::Text(method, text)))?;
    if let Origin::Variable(variable) = origin {
        let text = directives.clone();
        let (good, bad): (Vec<_>, Vec<_>) =
            text.split(',').filter(|directive| !directive.is_empty()).partition(|directive| check(directive).is_ok());
        if let Some(error) = bad.first().and_then(|directive| check(directive).err()) {
            (directives, origin) = match good.as_slice() {
                [] => ((setting.default)(), Origin::Default(variable)),
                good => (good.join(","), origin),
            };
            let refused = Filter { origin: variable, directives: text.clone() };
            let (allowed, used) = (Filter::allowed(&error), format!("{directives} ({origin})"));
            resolver.ignore((variable, &text), allowed, used, || refused.refused(&error))?;
        }
    }
    resolver.note_value(setting, &directives, origin);
    Ok(Filter { origin: origin.name(), directives })
}
