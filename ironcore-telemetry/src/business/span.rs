//! The span of an operation.

use super::field::Field;
use super::outcome::OutcomeClass;
use super::site::Spec;
use super::verdict::Verdict;
use crate::names::attribute;
use crate::recorder::{self, StartSpan};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;

/// Attributes that an operation has besides its fields: three at its start, one at its end; a second one there when it
/// did not end well may make the list grow.
const ATTRIBUTES: usize = 4;

/// Takes the fields of a call: with the other attributes of a span that is going to be sampled, as its parent is, or onto
/// one that turned out to be.
pub struct Fields<'span>(Place<'span>);

enum Place<'span> {
    Start(&'span mut Vec<KeyValue>),
    Started(&'span Context),
}

impl Fields<'_> {
    /// Adds a field.
    #[inline]
    pub fn add(&mut self, key: &'static str, value: impl Field) {
        let field = KeyValue::new(key, value.into_value());
        match &mut self.0 {
            Place::Start(attributes) => attributes.push(field),
            Place::Started(context) => context.span().set_attribute(field),
        }
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fields")
    }
}

/// Starts the span of a call under its parent, with so many fields. They are evaluated only for a span that is sampled.
#[inline]
pub(super) fn start(
    (start, parent): (&StartSpan, Context),
    spec: &'static Spec,
    count: usize,
    fields: impl FnOnce(&mut Fields<'_>),
) -> Context {
    // With room for that of the end, so that the list does not grow.
    let mut attributes = Vec::with_capacity(ATTRIBUTES + count);
    attributes.push(KeyValue::new(attribute::DOMAIN, spec.domain));
    attributes.push(KeyValue::new(attribute::OPERATION, spec.operation));
    attributes.push(KeyValue::new(attribute::CODE_FUNCTION, spec.function));
    if count > 0 && recorder::is_sampled(&parent) {
        fields(&mut Fields(Place::Start(&mut attributes)));
        return begin(start, &parent, spec, attributes);
    }
    let context = begin(start, &parent, spec, attributes);
    if count > 0 && recorder::is_sampled(&context) {
        fields(&mut Fields(Place::Started(&context)));
    }
    context
}

fn begin(
    start: &StartSpan,
    parent: &Context,
    spec: &'static Spec,
    attributes: Vec<KeyValue>,
) -> Context {
    // Written out: the builder's methods would copy it for each part.
    let builder = SpanBuilder {
        name: Cow::Borrowed(spec.name),
        span_kind: Some(SpanKind::Internal),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    };
    start(builder, parent)
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
