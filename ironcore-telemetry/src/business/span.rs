//! The span of an operation.

use super::outcome::OutcomeClass;
use super::site::Spec;
use super::verdict::Verdict;
use crate::names::attribute;
use crate::series::Ids;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use std::borrow::Cow;

/// Starts a span under a parent and returns a context that holds it. Made by `init`, which knows the SDK's own tracer: the
/// API's global one would box each span once more.
pub(crate) type StartSpan = Box<dyn Fn(SpanBuilder, &Context) -> Context + Send + Sync>;

/// Attributes that an operation has besides its fields: three at its start, two at its end.
const ATTRIBUTES: usize = 5;

/// Starts the span of a call under the current one.
pub(super) fn start(start: &StartSpan, spec: &'static Spec, fields: usize) -> Context {
    // With room for those of the end, so that the list does not grow.
    let mut attributes = Vec::with_capacity(ATTRIBUTES + fields);
    attributes.push(KeyValue::new(attribute::DOMAIN, spec.domain));
    attributes.push(KeyValue::new(attribute::OPERATION, spec.operation));
    attributes.push(KeyValue::new(attribute::CODE_FUNCTION, spec.function));
    // Written out: the builder's methods would copy it for each part.
    let builder = SpanBuilder {
        name: Cow::Borrowed(spec.name),
        span_kind: Some(SpanKind::Internal),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    };
    start(builder, &Context::current())
}

/// Adds a field.
pub(super) fn add(context: &Context, key: &'static str, value: Value) {
    context.span().set_attribute(KeyValue::new(key, value));
}

/// Ends a sampled span with a verdict.
pub(super) fn end(context: &Context, Verdict { class, code }: Verdict) {
    let span = context.span();
    span.set_attribute(KeyValue::new(attribute::OUTCOME, class.as_str()));
    if class != OutcomeClass::Ok {
        let kind = if code.is_empty() {
            class.as_str()
        } else {
            code
        };
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, kind));
    }
    if matches!(class, OutcomeClass::Failed | OutcomeClass::Panicked) {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// The ids of a sampled span: such a trace can be looked at.
pub(super) fn sampled(context: &Context) -> Option<Ids> {
    let span = context.span();
    let ids = span.span_context();
    let of = || Ids {
        trace: u128::from_be_bytes(ids.trace_id().to_bytes()),
        span: u64::from_be_bytes(ids.span_id().to_bytes()),
    };
    ids.is_sampled().then(of)
}

/// A child of a span that is not sampled would not be either: its parent's ids serve for logs and propagation. A remote
/// parent decides only where the sampler follows it.
pub(super) fn is_left_out(follows_parent: bool) -> bool {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return false;
        }
        let span = context.span();
        let parent = span.span_context();
        parent.is_valid() && !parent.is_sampled() && (!parent.is_remote() || follows_parent)
    })
}
