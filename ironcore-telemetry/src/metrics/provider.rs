//! The meter provider for the instruments of users and libraries.

#[cfg(feature = "prometheus")]
use super::bridge::Bridge;
use super::push::seconds;
use crate::config::Settings;
use crate::names::DURATION_BOUNDS;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Series an instrument may have; the SDK allots memory for all of them when the instrument is made.
const CARDINALITY_LIMIT: usize = 500;

/// A provider and what reads it.
pub(crate) struct Meters {
    pub(crate) provider: SdkMeterProvider,
    /// The `/metrics` page.
    #[cfg(feature = "prometheus")]
    pub(crate) bridge: Option<Bridge>,
    /// OTLP.
    pub(crate) push: Option<PushReader>,
}

impl Meters {
    /// A provider that is read for the `/metrics` page, for OTLP, or for both; `None` when for neither.
    pub(crate) fn new(settings: &Settings, resource: &Resource) -> Option<Self> {
        let push = settings.metrics_push.is_some();
        if !push && !settings.prometheus {
            return None;
        }
        let mut provider = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(shape);
        #[cfg(feature = "prometheus")]
        let (bridge, reader) = settings.prometheus.then(Bridge::new).flatten().unzip();
        #[cfg(feature = "prometheus")]
        if let Some(reader) = reader {
            provider = provider.with_reader(reader);
        }
        let push = push.then(PushReader::new);
        if let Some(reader) = push.clone() {
            provider = provider.with_reader(reader);
        }
        Some(Self {
            provider: provider.build(),
            #[cfg(feature = "prometheus")]
            bridge,
            push,
        })
    }
}

/// Units in use and the suffix that the Prometheus exporter makes of each.
const UNITS: &[(&str, &str)] = &[
    ("s", "_seconds"),
    ("ms", "_milliseconds"),
    ("us", "_microseconds"),
    ("ns", "_nanoseconds"),
    ("By", "_bytes"),
    ("KiBy", "_kibibytes"),
    ("MiBy", "_mebibytes"),
    ("%", "_percent"),
];

/// The one view, which decides everything, as views do not compose: bounds that suit seconds, no doubled suffix, a
/// limit to the number of series.
fn shape(instrument: &Instrument) -> Option<Stream> {
    let (name, unit) = (instrument.name(), instrument.unit());
    let mut stream = Stream::builder().with_cardinality_limit(CARDINALITY_LIMIT);
    // The exporter appends the unit and `_total`; a name that has them already would carry them twice.
    let base = match instrument.kind() {
        InstrumentKind::Counter | InstrumentKind::ObservableCounter => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    let suffix = UNITS.iter().find(|(known, _)| *known == unit).map(|(_, suffix)| *suffix);
    let base = suffix.and_then(|suffix| base.strip_suffix(suffix)).unwrap_or(base);
    if base != name && !base.is_empty() {
        stream = stream.with_name(base.to_owned());
    }
    if instrument.kind() == InstrumentKind::Histogram && unit == "s" {
        let boundaries = DURATION_BOUNDS.iter().map(|nanos| seconds(*nanos)).collect();
        stream = stream.with_aggregation(Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false });
    }
    // Cannot fail: the bounds rise and the limit is positive.
    stream.build().ok()
}

/// A reader that the telemetry thread collects from; the SDK's periodic one has a thread of its own and flushes
/// without a limit.
#[derive(Clone, Debug)]
pub(crate) struct PushReader(Arc<ManualReader>);

impl PushReader {
    fn new() -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build()))
    }
}

impl MetricReader for PushReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
