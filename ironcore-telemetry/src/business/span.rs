//! The span of an operation.

use super::field::Field;
use super::outcome::OutcomeClass;
use super::site::Spec;
use super::verdict::{RecordedError, Verdict};
use crate::caught::caught;
use crate::names::{EXCEPTION, attribute};
use crate::recorder::StartSpan;
use crate::redact::PANICKED;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use std::borrow::Cow;

/// Attributes of an operation besides its fields: three at its start, one at its end. `error.type`, a second one at the
/// end, may make the list grow.
const ATTRIBUTES: usize = 4;

/// Collects the fields of a call whose span is sampled.
pub struct Fields<'span>(&'span mut Vec<KeyValue>);

impl Fields<'_> {
    /// Adds a field. A value that panics is replaced by a mark.
    #[inline]
    pub fn add<V: Field>(&mut self, key: &'static str, value: impl FnOnce() -> V) {
        // Pushed inside, so that the value is not moved once more.
        let add = || self.0.push(KeyValue::new(key, value().into_value()));
        if caught(add).is_none() {
            self.0.push(KeyValue::new(key, Value::String(PANICKED.into())));
        }
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fields")
    }
}

/// Starts the span of a call under its parent. The `count` fields are evaluated only if the span is sampled.
#[inline]
pub(super) fn start(
    (start, parent): (&StartSpan, Context),
    spec: &'static Spec,
    count: usize,
    fields: impl FnOnce(&mut Fields<'_>),
) -> Context {
    let mut fields = Some(fields);
    start(&parent, spec.name, &mut || {
        // With room for the attribute at the end, so that the list does not grow.
        let mut attributes = Vec::with_capacity(ATTRIBUTES + count);
        attributes.push(KeyValue::new(attribute::DOMAIN, spec.domain));
        attributes.push(KeyValue::new(attribute::OPERATION, spec.operation));
        attributes.push(KeyValue::new(attribute::CODE_FUNCTION, spec.function));
        if let Some(fields) = fields.take() {
            fields(&mut Fields(&mut attributes));
        }
        // As a struct literal: the builder's methods would copy it for each part.
        SpanBuilder {
            name: Cow::Borrowed(spec.name),
            span_kind: Some(SpanKind::Internal),
            attributes: Some(attributes),
            ..SpanBuilder::default()
        }
    })
}

/// Ends a sampled span with a verdict.
pub(super) fn end(context: &Context, Verdict { class, code }: Verdict, error: Option<&RecordedError<'_>>) {
    let span = context.span();
    if let Some(error) = error {
        let attributes = vec![
            KeyValue::new(attribute::EXCEPTION_TYPE, error.kind),
            KeyValue::new(attribute::EXCEPTION_MESSAGE, error.text.clone().into_owned()),
        ];
        span.add_event(EXCEPTION, attributes);
    }
    span.set_attribute(KeyValue::new(attribute::OUTCOME, class.as_str()));
    if class != OutcomeClass::Ok {
        let kind = if code.is_empty() { class.as_str() } else { code };
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, kind));
    }
    if matches!(class, OutcomeClass::Failed | OutcomeClass::Panicked) {
        span.set_status(Status::error(""));
    }
    span.end();
}
