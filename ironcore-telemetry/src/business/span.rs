//! The span of an operation.

use super::outcome::OutcomeClass;
use super::site::Spec;
use super::verdict::Verdict;
use crate::names::attribute;
use crate::recorder::StartSpan;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use std::borrow::Cow;

/// Attributes that an operation has besides its fields: three at its start, one at its end; a second one there when it
/// did not end well may make the list grow.
const ATTRIBUTES: usize = 4;

/// Starts the span of a call under its parent.
pub(super) fn start(
    (start, parent): (&StartSpan, Context),
    spec: &'static Spec,
    fields: usize,
) -> Context {
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
    start(builder, &parent)
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
