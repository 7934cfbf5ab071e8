//! The caller's span from a format that has ids and a sampling decision only: B3 and Jaeger.

use super::trace_context::W3cExtras;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, SpanRef, TraceContextExt as _, TraceFlags, TraceId, TraceState};

/// The span context of a caller; `None` if an id is zero or too long.
pub(super) fn span_context(trace_id: u128, span_id: u128, sampled: bool) -> Option<SpanContext> {
    let parent = SpanContext::new(
        TraceId::from(trace_id),
        SpanId::from(u64::try_from(span_id).ok()?),
        TraceFlags::default().with_sampled(sampled),
        true,
        TraceState::default(),
    );
    parent.is_valid().then_some(parent)
}

/// The context with this remote parent. Where another format has already given the same parent, that one stays: it may
/// have a `tracestate` and a random flag, which this format cannot express.
pub(super) fn with_remote_parent(context: &Context, parent: Option<SpanContext>) -> Context {
    match parent {
        Some(parent) if !is_same(&context.span(), &parent) => {
            let extras = W3cExtras::none(parent.trace_id());
            context.with_remote_span_context(parent).with_value(extras)
        }
        _ => context.clone(),
    }
}

fn is_same(present: &SpanRef<'_>, parent: &SpanContext) -> bool {
    let key = |span: &SpanContext| (span.trace_id(), span.span_id(), span.is_sampled());
    present.span_context().is_remote() && key(present.span_context()) == key(parent)
}
