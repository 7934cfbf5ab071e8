//! The ids of the current trace.

use crate::series::SpanIds;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

/// The id of the current trace, as 32 hexadecimal digits: a user can quote it, and you look it up in the traces and the
/// log lines. `None` outside of a trace.
///
/// ```
/// // The body of an error.
/// let body = format!(r#"{{"error": "not found", "request_id": "{}"}}"#, ironcore_telemetry::trace_id().unwrap_or_default());
/// # let _ = body;
/// ```
#[must_use]
pub fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| format!("{:032x}", ids.trace_id()))
    })
}

/// The ids of a sampled span, for exemplars: only such a trace can be looked up.
#[inline]
pub(crate) fn sampled(context: &Context) -> Option<SpanIds> {
    let span = context.span();
    let ids = span.span_context();
    let of = || SpanIds {
        trace: u128::from_be_bytes(ids.trace_id().to_bytes()),
        span: u64::from_be_bytes(ids.span_id().to_bytes()),
    };
    ids.is_sampled().then(of)
}
