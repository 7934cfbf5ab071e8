//! The queue as a span processor of the SDK.

use super::encode::cut_large;
use crate::export::Queue;
use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Processor(Arc<Queue<SpanData>>);

impl Processor {
    pub(super) const fn new(queue: Arc<Queue<SpanData>>) -> Self {
        Self(queue)
    }
}

impl std::fmt::Debug for Processor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SpanQueue")
    }
}

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        if span.span_context.is_sampled() {
            cut_large(&mut span);
            self.0.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // The guard flushes: it waits on the telemetry thread with a time limit, which this call lacks.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        // As above. Spans that end later still arrive, so that they are counted.
        Ok(())
    }
}
