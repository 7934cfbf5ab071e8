//! The reader that the page and the OTLP push collect from.

use super::callbacks::Callbacks;
use crate::caught::caught;
use crate::names;
use crate::series;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A reader that is collected on request. The SDK's periodic reader has a thread of its own and flushes without a time
/// limit.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    sdk: Arc<ManualReader>,
    callbacks: Arc<Callbacks>,
}

impl Reader {
    /// A reader of cumulative points.
    #[cfg(all(test, feature = "prometheus"))]
    pub(super) fn new(callbacks: Arc<Callbacks>) -> Self {
        Self::with_temporality(callbacks, Temporality::Cumulative)
    }

    /// The reader of a provider whose instruments have these callbacks. Its points count as the preference says.
    pub(super) fn with_temporality(callbacks: Arc<Callbacks>, preference: Temporality) -> Self {
        Self { sdk: Arc::new(ManualReader::builder().with_temporality(preference).build()), callbacks }
    }

    /// Runs the callbacks, for a bounded time, so that [`gather`](Self::gather) has their values.
    pub(super) fn refresh(&self) {
        self.callbacks.refresh();
    }

    /// What the instruments have measured. `None`, and counted, when that cannot be collected, as when the application
    /// has shut the provider down.
    pub(super) fn gather(&self) -> Option<ResourceMetrics> {
        let mut metrics = ResourceMetrics::default();
        // A layer of the user gets what the SDK logs, and may panic.
        let collected = caught(|| self.sdk.collect(&mut metrics));
        if matches!(collected, Some(Ok(()))) {
            return Some(metrics);
        }
        series::counter(&names::TELEMETRY_EXPORT_FAILURES, &["metrics"]).add(1);
        None
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.sdk.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.sdk.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.sdk.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.sdk.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.sdk.temporality(kind)
    }
}
