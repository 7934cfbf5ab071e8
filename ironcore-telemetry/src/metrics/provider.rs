//! The meter provider for the instruments of users and libraries.

#[cfg(feature = "prometheus")]
use super::bridge::Bridge;
use super::reader::PushReader;
use crate::config::Settings;
use crate::names::DURATION_BOUNDS;
use crate::series;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};

/// The most series of one instrument; the SDK allocates memory for all of them when the instrument is created.
const CARDINALITY_LIMIT: usize = 500;

/// The meter provider and its readers.
pub(crate) struct Meters {
    pub(crate) provider: SdkMeterProvider,
    /// Puts the instruments on the `/metrics` page.
    #[cfg(feature = "prometheus")]
    pub(crate) bridge: Option<Bridge>,
    /// Reads the instruments for the push over OTLP.
    pub(crate) push: Option<PushReader>,
}

impl Meters {
    /// A provider that is read for the `/metrics` page, for OTLP, or for both; `None` when neither is on.
    pub(crate) fn new(settings: &Settings, resource: &Resource) -> Option<Self> {
        let push = settings.metrics_push.is_some();
        if !push && !settings.prometheus {
            return None;
        }
        let mut provider = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(view);
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

/// Common units, each with the suffix that the Prometheus exporter appends for it.
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

/// The only view. Views do not compose, so this one decides everything: bucket bounds for seconds, no doubled suffix,
/// the limit of series.
fn view(instrument: &Instrument) -> Option<Stream> {
    let (name, unit) = (instrument.name(), instrument.unit());
    let mut stream = Stream::builder().with_cardinality_limit(CARDINALITY_LIMIT);
    // The exporter appends the unit and `_total`; a name that ends in them would get them twice.
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
        let boundaries = DURATION_BOUNDS.iter().map(|nanos| series::seconds(*nanos)).collect();
        stream = stream.with_aggregation(Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false });
    }
    // Cannot fail: the bounds rise and the limit is positive.
    stream.build().ok()
}
