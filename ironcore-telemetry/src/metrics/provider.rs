//! The meter provider for the instruments of users and libraries.

#[cfg(feature = "prometheus")]
use super::bridge::Bridge;
use super::callbacks::Callbacks;
#[cfg(feature = "prometheus")]
use super::claims::Claims;
use super::meters::Provider;
use super::reader::Reader;
use crate::config::{Histograms, MetricsPush, Settings, Temporality};
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{self, Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream};
use std::collections::HashSet;
use std::sync::Arc;

/// The most series of one instrument; the SDK allocates memory for all of them when the instrument is created.
const CARDINALITY_LIMIT: usize = 500;

/// The meter provider and its readers.
pub(crate) struct Meters {
    pub(crate) provider: Provider,
    /// Puts the instruments on the `/metrics` page.
    #[cfg(feature = "prometheus")]
    pub(crate) bridge: Option<Bridge>,
    /// Reads the instruments for the push over OTLP.
    pub(crate) push: Option<Reader>,
}

impl Meters {
    /// A provider that is read for the `/metrics` page, for OTLP, or for both; `None` when neither is on.
    pub(crate) fn new(settings: &Settings, resource: &Resource) -> Option<Self> {
        let callbacks = Callbacks::new();
        let reader = |preference| Reader::with_temporality(Arc::clone(&callbacks), preference);
        let push = settings.metrics_push.as_ref().map(|push| reader(preference(push)));
        let exponential = settings.metrics_push.as_ref().is_some_and(|push| push.histograms == Histograms::Exponential);
        #[cfg(feature = "prometheus")]
        let page = settings.prometheus.then(|| reader(metrics::Temporality::Cumulative));
        #[cfg(not(feature = "prometheus"))]
        let page: Option<Reader> = None;
        if push.is_none() && page.is_none() {
            return None;
        }
        let mut sdk = SdkMeterProvider::builder().with_resource(resource.clone());
        // A view holds for all readers, and the page has the bounds that an instrument asks for.
        sdk = match (exponential, page.is_some()) {
            (false, _) => sdk.with_view(view),
            (true, false) => sdk.with_view(exponential_view),
            (true, true) => sdk.with_view(view).with_view(twin_view),
        };
        for reader in [&page, &push].into_iter().flatten() {
            sdk = sdk.with_reader(reader.clone());
        }
        #[cfg(feature = "prometheus")]
        let claims = page.is_some().then(Arc::<Claims>::default);
        let provider = Provider::new(
            sdk.build(),
            callbacks,
            #[cfg(feature = "prometheus")]
            claims.clone(),
        );
        Some(Self {
            provider,
            #[cfg(feature = "prometheus")]
            bridge: page.zip(claims).map(|(reader, claims)| Bridge::new(reader, claims, resource.clone())),
            push,
        })
    }
}

const fn preference(push: &MetricsPush) -> metrics::Temporality {
    match push.temporality {
        Temporality::Cumulative => metrics::Temporality::Cumulative,
        Temporality::Delta => metrics::Temporality::Delta,
        Temporality::LowMemory => metrics::Temporality::LowMemory,
    }
}

/// Limits the series. A view that set bounds would replace those that an instrument asks for.
fn view(_: &Instrument) -> Option<Stream> {
    // Cannot fail: the limit is positive.
    Stream::builder().with_cardinality_limit(CARDINALITY_LIMIT).build().ok()
}

/// Limits the series, and makes every histogram exponential.
fn exponential_view(instrument: &Instrument) -> Option<Stream> {
    if instrument.kind() == InstrumentKind::Histogram { exponential(instrument.name()) } else { view(instrument) }
}

/// A second stream for each histogram, beside the one of [`view`].
fn twin_view(instrument: &Instrument) -> Option<Stream> {
    let name = || format!("{}{TWIN}", instrument.name());
    (instrument.kind() == InstrumentKind::Histogram).then(name).and_then(|name| exponential(&name))
}

/// What the name of a twin ends in; no instrument's own name can.
const TWIN: &str = "\u{0}exponential";

/// A histogram with the size and the scale that the specification has as defaults.
fn exponential(name: &str) -> Option<Stream> {
    let aggregation = Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
    let stream = Stream::builder().with_name(name.to_owned()).with_aggregation(aggregation);
    stream.with_cardinality_limit(CARDINALITY_LIMIT).build().ok()
}

/// The metrics as they are pushed: the twin of a histogram in its place.
pub(super) fn pushed(mut scopes: Vec<ScopeMetrics>) -> Vec<ScopeMetrics> {
    for scope in &mut scopes {
        let mut twins = HashSet::new();
        for metric in &mut scope.metrics {
            if let Some(name) = metric.name.strip_suffix(TWIN) {
                metric.name = name.to_owned();
                twins.insert(metric.name.clone());
            }
        }
        scope.metrics.retain(|metric| {
            let is_explicit = matches!(metric.data, Some(Data::Histogram(_)));
            !(is_explicit && twins.contains(&metric.name))
        });
    }
    scopes
}

#[cfg(all(test, feature = "prometheus"))]
mod tests {
    use super::*;
    use crate::metrics::families::gather;
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

    #[test]
    fn a_page_has_the_bounds_of_a_histogram_whose_push_is_exponential() {
        let callbacks = Callbacks::new();
        let [page, push] = [0; 2].map(|_| Reader::new(Arc::clone(&callbacks)));
        let sdk = SdkMeterProvider::builder().with_reader(page.clone()).with_reader(push.clone());
        let claims = Arc::<Claims>::default();
        let sdk = sdk.with_view(view).with_view(twin_view).build();
        let provider = Provider::new(sdk, callbacks, Some(Arc::clone(&claims)));
        let meter = provider.meter("users");
        meter.f64_histogram("Lasts").with_boundaries(vec![1.0, 2.0]).build().record(1.5, &[]);
        meter.u64_counter("orders").build().add(1, &[]);
        let families = gather(&page.gather().unwrap(), &claims);
        let mut text = String::new();
        families.get("Lasts").unwrap().write(&mut text, "Lasts", crate::series::Format::Text).unwrap();
        assert!(text.contains(r#"le="2"} 1"#), "{text}");
        assert_eq!(families.keys().collect::<Vec<_>>(), ["Lasts", "orders"]);

        let request = ExportMetricsServiceRequest::from(&push.gather().unwrap());
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics).collect();
        let metrics: Vec<_> = pushed(scopes).into_iter().flat_map(|scope| scope.metrics).collect();
        let mut seen: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        seen.sort_unstable();
        assert_eq!(seen, ["Lasts", "orders"]);
        let lasts = metrics.iter().find(|metric| metric.name == "Lasts").unwrap();
        let Some(Data::ExponentialHistogram(histogram)) = &lasts.data else { panic!("{lasts:?}") };
        assert_eq!((histogram.data_points[0].count, histogram.data_points[0].sum), (1, Some(1.5)));
    }
}
