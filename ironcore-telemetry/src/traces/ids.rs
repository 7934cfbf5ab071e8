//! Ids of traces and spans.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use std::cell::Cell;

thread_local! {
    static PRESET_TRACE_ID: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Sets the trace id of the next root span that starts on this thread: the one for which the sampler has decided.
pub(super) fn preset_trace_id(id: TraceId) {
    PRESET_TRACE_ID.set(Some(id));
}

/// Random ids, except for a trace id that was set before.
#[derive(Debug, Clone, Copy)]
pub(super) struct PresetIds;

impl IdGenerator for PresetIds {
    fn new_trace_id(&self) -> TraceId {
        PRESET_TRACE_ID.take().unwrap_or_else(|| RandomIdGenerator::default().new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        RandomIdGenerator::default().new_span_id()
    }
}
