//! Ids of traces and spans.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;

thread_local! {
    static NEXT_TRACE: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// The trace that the span started next on this thread begins: the one that the sampler was asked about.
pub(super) fn next_trace(id: TraceId) {
    NEXT_TRACE.set(Some(id));
}

/// Random ids, but for a trace that was named before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT_TRACE.take().unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}
