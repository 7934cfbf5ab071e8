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
            let size = cut_large(&mut span);
            self.0.push(span, size);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Queue as Bounds, Signal};
    use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use std::time::SystemTime;

    #[test]
    fn a_span_that_is_not_sampled_is_not_queued() {
        let (bytes, delay) = (1 << 20, Duration::from_secs(1));
        let bounds = Bounds { capacity: 1, bytes, batch: 1, batch_bytes: bytes, delay, concurrency: 1 };
        // Nothing else is counted there.
        let queue = Queue::new(bounds, Signal::Metrics, bytes::Bytes::new(), None);
        let processor = Processor::new(Arc::clone(&queue));
        for (flags, ended) in [(TraceFlags::NOT_SAMPLED, 0), (TraceFlags::SAMPLED, 1)] {
            processor.on_end(SpanData {
                span_context: SpanContext::new(1.into(), 1.into(), flags, false, TraceState::NONE),
                parent_span_id: 0.into(),
                parent_span_is_remote: false,
                span_kind: SpanKind::Internal,
                name: "test".into(),
                start_time: SystemTime::UNIX_EPOCH,
                end_time: SystemTime::UNIX_EPOCH,
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: Status::Unset,
                instrumentation_scope: opentelemetry::InstrumentationScope::default(),
            });
            assert_eq!(queue.ledger().ended(), ended);
        }
        queue.abandon();
    }
}
