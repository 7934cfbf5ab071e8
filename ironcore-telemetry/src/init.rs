//! `init`: everything that can fail is built first, then the globals are set in one step.

use crate::business;
use crate::config::{Config, Environment, Propagator, Settings, Signal};
use crate::error::InitError;
use crate::export::{self, Client, Queue};
use crate::guard::{Pipeline, TelemetryGuard};
#[cfg(feature = "prometheus")]
use crate::metrics;
use crate::metrics::{Meters, Push};
use crate::panic_hook;
use crate::propagation::{B3Propagator, BaggagePropagator, JaegerPropagator, TraceContextPropagator};
use crate::recorder;
use crate::resource;
use crate::scrub;
use crate::series;
#[cfg(all(unix, feature = "signals"))]
use crate::terminate::Termination;
use crate::traces::{self, BoxedLayer, HeadSampler, Stack, TelemetrySubscriber};
use crate::worker::Worker;
use opentelemetry::global;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use std::any::TypeId;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Whether telemetry was started. Locked for all of `init`, so that concurrent callers see a finished initialisation.
static INITIALIZED: Mutex<bool> = Mutex::new(false);

/// Starts telemetry with the configuration of the environment (`OTEL_*`) and safe defaults.
///
/// ```no_run
/// use ironcore_telemetry as telemetry;
/// use std::time::Duration;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let guard = telemetry::init()?;
///     // … the service …
///     let report = guard.shutdown(Duration::from_secs(5));
///     if !report.is_complete() {
///         eprintln!("{report}");
///     }
///     Ok(())
/// }
/// ```
///
/// # Errors
/// As [`init_with`].
pub fn init() -> Result<TelemetryGuard, InitError> {
    init_with(Config::default())
}

/// Starts telemetry: spans over OTLP, metrics on `/metrics`, JSON log lines on stdout, W3C trace context.
///
/// It never waits for the collector: spans are queued until it can be reached. It works without, inside and beside any
/// tokio runtime. With `OTEL_SDK_DISABLED=true` it does nothing: no thread, no socket, no subscriber but
/// that of your own layers.
///
/// # Errors
/// A value in code that cannot be used, a setting that needs a cargo feature which is not compiled in, a second call in
/// the same process, or a global `tracing` subscriber that is already set. With [`Config::strict`] also a variable that
/// cannot be used, and a port for `/metrics` that cannot be bound; without it both are logged. Nothing is left installed
/// after an error.
#[expect(clippy::needless_pass_by_value, reason = "a configuration is built for this one call")]
pub fn init_with(config: Config) -> Result<TelemetryGuard, InitError> {
    let layers = config.take_layers();
    if layers.is_empty() {
        return start(Registry::default(), &config);
    }
    start(Registry::default().with(Stack::new(layers)), &config)
}

/// As [`init_with`], on a `tracing` subscriber of your own: a registry with your layers. It becomes the global one, with the
/// layers of this library on top; do not set it yourself. [`Config::layer`] is for the registry of `init_with` and is not
/// used here. What it says of filters and of a layer of `tracing-opentelemetry` holds here too: a subscriber with
/// `.with(EnvFilter::from_default_env())` filters the lines and spans of this library by that filter; write
/// `fmt::layer().with_filter(EnvFilter::from_default_env())`.
///
/// ```no_run
/// use ironcore_telemetry as telemetry;
/// use telemetry::Config;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr));
/// let guard = telemetry::init_on(subscriber, Config::new("wallets"))?;
/// # Ok::<(), telemetry::InitError>(())
/// ```
///
/// # Errors
/// As [`init_with`].
#[expect(clippy::needless_pass_by_value, reason = "a configuration is built for this one call")]
pub fn init_on<S>(subscriber: S, config: Config) -> Result<TelemetryGuard, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    start(subscriber, &config)
}

fn start<S>(subscriber: S, config: &Config) -> Result<TelemetryGuard, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let environment = Environment { variable: &variable, check_directive };
    let Some(settings) = Settings::resolve(config, environment)? else {
        set_global(subscriber)?;
        return Ok(TelemetryGuard::disabled());
    };
    let mut initialized = INITIALIZED.lock().unwrap_or_else(PoisonError::into_inner);
    if *initialized {
        return Err(InitError::AlreadyInitialized);
    }
    scrub::switch(settings.redact);
    let parts = Parts::build(&settings)?;
    #[cfg(all(unix, feature = "signals"))]
    let signals = config.ends_on_signals().map(Termination::prepare).transpose()?;
    let pipeline = parts.install(&settings, subscriber)?;
    *initialized = true;
    if config.installs_panic_hook() {
        panic_hook::install(Arc::clone(&pipeline));
    }
    #[cfg(all(unix, feature = "signals"))]
    if let Some(signals) = signals {
        signals.begin(Arc::clone(&pipeline));
    }
    Ok(TelemetryGuard::new(pipeline))
}

/// A variable of the environment. Bytes that are not UTF-8 become replacement characters, which no setting accepts.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// Whether the layers can read a directive in the syntax of `RUST_LOG`; else why not.
fn check_directive(text: &str) -> Result<(), String> {
    text.parse::<Directive>().map(drop).map_err(|error| error.to_string())
}

/// Everything that `init` builds before it sets a global.
struct Parts {
    worker: Worker,
    traces: Traces,
    meters: Option<Meters>,
    push: Option<Arc<Push>>,
    #[cfg(feature = "prometheus")]
    listener: Option<Arc<metrics::Listener>>,
}

struct Traces {
    sampler: HeadSampler,
    provider: SdkTracerProvider,
    /// `None` without an exporter: traces have ids then, and their context is passed on.
    export: Option<(Arc<Queue<SpanData>>, Arc<Client>)>,
}

impl Parts {
    fn build(settings: &Settings) -> Result<Self, InitError> {
        #[cfg(feature = "prometheus")]
        let listener = settings.metrics_listener;
        #[cfg(feature = "prometheus")]
        let listener = listener.map(|address| metrics::Listener::open(address, settings.strict)).transpose()?;
        let worker = Worker::start().map_err(|source| InitError::Thread { source })?;
        let resource = resource::resource(&settings.service, &settings.detectors);
        let traces = Traces::build(settings, &resource)?;
        let meters = Meters::new(settings, &resource);
        let push = build_push(settings, &resource, meters.as_ref())?;
        Ok(Self {
            worker,
            traces,
            meters,
            push,
            #[cfg(feature = "prometheus")]
            listener,
        })
    }

    /// Sets the globals. The subscriber is the only one that can be refused, so it comes first.
    fn install<S>(self, settings: &Settings, subscriber: S) -> Result<Arc<Pipeline>, InitError>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        set_subscriber(subscriber, settings, &self.traces.provider)?;
        set_propagator(&settings.propagators);
        if !settings.exemplars {
            series::omit_exemplars();
        }
        if let Some(meters) = self.meters {
            global::set_meter_provider(meters.provider);
            #[cfg(feature = "prometheus")]
            if let Some(bridge) = meters.bridge {
                bridge.install();
            }
        }
        global::set_tracer_provider(self.traces.provider.clone());
        business::install();
        let start_span: recorder::StartSpan = match self.traces.export {
            Some(_) => Box::new(traces::start_span(&self.traces.provider, self.traces.sampler.clone())),
            None => Box::new(traces::start_ids(self.traces.sampler.clone())),
        };
        recorder::install(start_span, settings.sampler.follows_parent, self.traces.export.is_some());
        log_start(settings);
        #[cfg(feature = "prometheus")]
        if let Some(listener) = self.listener {
            listener.announce();
            self.worker.keep_running(move || Arc::clone(&listener).run());
        }
        #[cfg(feature = "jaeger-sampling")]
        if let Some(remote) = self.traces.sampler.remote() {
            self.worker.keep_running(move || Arc::clone(&remote).poll());
        }
        if let Some(push) = self.push.clone() {
            self.worker.keep_running(move || Arc::clone(&push).pump());
        }
        let spans = self.traces.export.map(|(queue, client)| {
            queue.announce();
            let spans = Arc::clone(&queue);
            self.worker.keep_running(move || Arc::clone(&queue).pump(Arc::clone(&client)));
            spans
        });
        Ok(Arc::new(Pipeline::new(self.worker, spans, self.push)))
    }
}

/// Logs what is in force, then each value of the environment that is not.
fn log_start(settings: &Settings) {
    let notices = &settings.notices;
    tracing::info!(
        target: "ironcore_telemetry",
        settings = settings.report,
        ignored = notices.ignored_names(),
        not_acted_on = notices.not_acted_on_names(),
        "telemetry started"
    );
    for ignored in &notices.ignored {
        tracing::warn!(
            target: "ironcore_telemetry",
            setting = ignored.name,
            value = ignored.value,
            allowed = ignored.allowed,
            used = ignored.used,
            "a setting cannot be used and is ignored"
        );
    }
    if let Some(variables) = notices.not_acted_on_names() {
        tracing::warn!(target: "ironcore_telemetry", variables, "these variables are set, and telemetry does not act on them");
    }
    if !notices.unencrypted.is_empty() {
        tracing::warn!(
            target: "ironcore_telemetry",
            endpoints = notices.unencrypted.join(","),
            "telemetry is sent to another host without TLS; use https://, or OTEL_EXPORTER_OTLP_INSECURE=true if this is meant"
        );
    }
}

impl Traces {
    fn build(settings: &Settings, resource: &Resource) -> Result<Self, InitError> {
        let sampler = HeadSampler::of(settings);
        let Some(otlp) = &settings.traces else {
            let provider = traces::provider_without_exporter(sampler.clone());
            return Ok(Self { sampler, provider, export: None });
        };
        let client = Arc::new(Client::new(otlp, Signal::Traces)?);
        let resource = resource::with_process(resource, &settings.detectors);
        let queue =
            Queue::new(settings.queue, Signal::Traces, export::values::resource(&resource), settings.spool.as_ref());
        let provider = traces::provider(sampler.clone(), settings.limits, resource, &queue);
        Ok(Self { sampler, provider, export: Some((queue, client)) })
    }
}

fn build_push(
    settings: &Settings,
    resource: &Resource,
    meters: Option<&Meters>,
) -> Result<Option<Arc<Push>>, InitError> {
    let reader = meters.and_then(|meters| meters.push.clone());
    let Some((push, reader)) = settings.metrics_push.as_ref().zip(reader) else {
        return Ok(None);
    };
    Push::new(push, settings.queue.batch_bytes, reader, resource).map(Some)
}

/// Makes the subscriber the global one, with the layers of this library.
fn set_subscriber<S>(subscriber: S, settings: &Settings, provider: &SdkTracerProvider) -> Result<(), InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let layers: Vec<BoxedLayer<S>> = vec![
        Box::new(traces::layer(&settings.trace_filter, provider)?),
        Box::new(traces::span_events(&settings.trace_filter)?),
    ];
    #[cfg(feature = "json-logs")]
    let layers = {
        let mut layers = layers;
        if let Some(lines) = &settings.log_lines {
            layers.push(Box::new(crate::logs::layer(lines, &settings.service.name, crate::logs::write_to_stdout)?));
        }
        layers
    };
    let subscriber = TelemetrySubscriber::new(subscriber.with(Stack::new(layers)));
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::ForeignSubscriber)?;
    #[cfg(feature = "json-logs")]
    if settings.log_lines.is_some() {
        crate::logs::forward_log_crate();
    }
    Ok(())
}

/// Makes a subscriber the global one that has nothing of this library; a registry without a layer is left out.
fn set_global<S: Subscriber + Send + Sync>(subscriber: S) -> Result<(), InitError> {
    if TypeId::of::<S>() == TypeId::of::<Registry>() {
        return Ok(());
    }
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::ForeignSubscriber)
}

fn set_propagator(propagators: &[Propagator]) {
    let build = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
        match propagator {
            Propagator::TraceContext => Box::new(TraceContextPropagator),
            Propagator::Baggage => Box::new(BaggagePropagator),
            Propagator::B3 => Box::new(B3Propagator::Single),
            Propagator::B3Multi => Box::new(B3Propagator::Multi),
            Propagator::Jaeger => Box::new(JaegerPropagator),
        }
    };
    let propagators = propagators.iter().map(build).collect();
    global::set_text_map_propagator(TextMapCompositePropagator::new(propagators));
}
