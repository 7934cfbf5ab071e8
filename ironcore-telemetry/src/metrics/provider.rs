//! The meter provider for the instruments of users and libraries.

#[cfg(feature = "prometheus")]
use super::bridge::Bridge;
use super::callbacks::Callbacks;
#[cfg(feature = "prometheus")]
use super::claims::Claims;
use super::meters::Provider;
use super::reader::Reader;
use crate::config::Settings;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
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
        let reader = || Reader::new(Arc::clone(&callbacks));
        let push = settings.metrics_push.is_some().then(reader);
        #[cfg(feature = "prometheus")]
        let page = settings.prometheus.then(reader);
        #[cfg(not(feature = "prometheus"))]
        let page: Option<Reader> = None;
        if push.is_none() && page.is_none() {
            return None;
        }
        let mut sdk = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(view);
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

/// The only view: it limits the series. One that set bounds would replace those that an instrument asks for.
fn view(_: &Instrument) -> Option<Stream> {
    // Cannot fail: the limit is positive.
    Stream::builder().with_cardinality_limit(CARDINALITY_LIMIT).build().ok()
}
