//! An ended span as a `Span` of OTLP.

use super::last_values::last_of_each_key;
use crate::export::{Record, values, wire};
use crate::names;
use crate::redact::{VALUE_LIMIT, truncate};
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use std::borrow::Cow;

/// The field of `ScopeSpans`.
const SPANS: u32 = 2;
/// The flags of a span whose parent is known to be local or remote, and of one whose parent is remote.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

impl Record for SpanData {
    fn size(&self) -> usize {
        let events = self.events.iter().map(|event| {
            size_of::<Event>() + event.name.len() + event.attributes.iter().map(size_of_attribute).sum::<usize>()
        });
        let status = match &self.status {
            Status::Error { description } => description.len(),
            Status::Unset | Status::Ok => 0,
        };
        let links = self
            .links
            .iter()
            .map(|link| size_of::<Link>() + link.attributes.iter().map(size_of_attribute).sum::<usize>());
        let attributes = self.attributes.iter().map(size_of_attribute).sum::<usize>();
        size_of::<Self>() + self.name.len() + status + attributes + events.sum::<usize>() + links.sum::<usize>()
    }

    fn scope(&self) -> &InstrumentationScope {
        &self.instrumentation_scope
    }

    fn encode(&self, to: &mut Vec<u8>) {
        wire::message(to, SPANS, |to| span(to, self));
    }
}

/// Whether it is a span of this library, whose attributes have names that are constants.
fn is_own(span: &SpanData) -> bool {
    span.instrumentation_scope.name() == names::SCOPE
}

fn size_of_attribute(pair: &KeyValue) -> usize {
    let value = match &pair.value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::Bool(values)) => values.len(),
        Value::Array(Array::I64(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::F64(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::String(values)) => {
            values.iter().map(|text| size_of::<StringValue>() + text.as_str().len()).sum()
        }
        _ => 0,
    };
    size_of::<KeyValue>() + pair.key.as_str().len() + value
}

fn span(to: &mut Vec<u8>, span: &SpanData) {
    let SpanData { span_context: ids, events, links, .. } = span;
    write_ids(to, ids);
    if span.parent_span_id != SpanId::INVALID {
        wire::bytes(to, 4, &span.parent_span_id.to_bytes());
    }
    let is_own = is_own(span);
    if is_own {
        // Of the program: operations, routes and methods.
        wire::bytes(to, 5, truncate(&span.name, values::NAME_LIMIT).as_bytes());
    } else {
        values::name(to, 5, &span.name);
    }
    wire::uint(to, 6, kind(&span.span_kind));
    let start = values::unix_nanos(span.start_time);
    wire::fixed64(to, 7, start);
    // The clock may have been set back in between.
    wire::fixed64(to, 8, values::unix_nanos(span.end_time).max(start));
    for pair in last_of_each_key(&span.attributes) {
        if is_own && names::is_closed_attribute(pair.key.as_str()) {
            values::closed_attribute(to, 9, &pair.key, &pair.value);
        } else {
            values::attribute(to, 9, &pair.key, &pair.value);
        }
    }
    wire::uint(to, 10, span.dropped_attributes_count.into());
    for event in events.iter() {
        wire::message(to, 11, |to| {
            wire::fixed64(to, 1, values::unix_nanos(event.timestamp));
            values::name(to, 2, &event.name);
            values::attributes(to, 3, last_of_each_key(&event.attributes));
            wire::uint(to, 4, event.dropped_attributes_count.into());
        });
    }
    wire::uint(to, 12, events.dropped_count.into());
    for link in links.iter() {
        wire::message(to, 13, |to| {
            write_ids(to, &link.span_context);
            values::attributes(to, 4, last_of_each_key(&link.attributes));
            wire::uint(to, 5, link.dropped_attributes_count.into());
            wire::fixed32(to, 6, flags(&link.span_context, link.span_context.is_remote()));
        });
    }
    wire::uint(to, 14, links.dropped_count.into());
    match &span.status {
        Status::Unset => {}
        Status::Ok => wire::message(to, 15, |to| wire::uint(to, 3, 1)),
        Status::Error { description } => wire::message(to, 15, |to| {
            values::text(to, 2, description);
            wire::uint(to, 3, 2);
        }),
    }
    wire::fixed32(to, 16, flags(ids, span.parent_span_is_remote));
}

/// The fields that a span and a link have in common.
fn write_ids(to: &mut Vec<u8>, ids: &SpanContext) {
    wire::bytes(to, 1, &ids.trace_id().to_bytes());
    wire::bytes(to, 2, &ids.span_id().to_bytes());
    let state = ids.trace_state();
    // The text of an empty one is an allocation.
    if *state != opentelemetry::trace::TraceState::NONE {
        wire::bytes(to, 3, state.header().as_bytes());
    }
}

fn flags(ids: &SpanContext, is_remote: bool) -> u32 {
    u32::from(ids.trace_flags().to_u8()) | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 }
}

const fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

/// A span above this size is cut before it is queued; any other one when it is encoded.
const LARGE: usize = 64 * 1024;

/// Cuts what is above its limit, so that the queue does not hold what is not sent. Returns the size that is left.
pub(super) fn cut_large(span: &mut SpanData) -> usize {
    let size = span.size();
    if size < LARGE {
        return size;
    }
    cut_text(&mut span.name, values::NAME_LIMIT);
    span.events.events.iter_mut().for_each(|event| cut_text(&mut event.name, values::NAME_LIMIT));
    span.attributes.iter_mut().for_each(cut);
    span.events.events.iter_mut().flat_map(|event| &mut event.attributes).for_each(cut);
    span.links.links.iter_mut().flat_map(|link| &mut link.attributes).for_each(cut);
    if let Status::Error { description } = &mut span.status {
        cut_text(description, VALUE_LIMIT);
    }
    span.size()
}

fn cut_text(text: &mut Cow<'static, str>, limit: usize) {
    if text.len() > limit {
        *text = truncate(text, limit).to_owned().into();
    }
}

fn cut(pair: &mut KeyValue) {
    if pair.key.as_str().len() > values::NAME_LIMIT {
        pair.key = Key::from(truncate(pair.key.as_str(), values::NAME_LIMIT).to_owned());
    }
    match &mut pair.value {
        Value::String(text) if text.as_str().len() > VALUE_LIMIT => {
            *text = truncate(text.as_str(), VALUE_LIMIT).to_owned().into();
        }
        Value::Array(Array::String(texts)) => {
            let mut left = VALUE_LIMIT;
            let fit = texts.iter().take_while(|text| {
                let fits = left.checked_sub(text.as_str().len() + 1);
                left = fits.unwrap_or(0);
                fits.is_some()
            });
            let fit = fit.count();
            cut_array(texts, fit);
        }
        Value::Array(Array::Bool(values)) => cut_array(values, VALUE_LIMIT),
        Value::Array(Array::I64(values)) => cut_array(values, VALUE_LIMIT),
        Value::Array(Array::F64(values)) => cut_array(values, VALUE_LIMIT),
        _ => {}
    }
}

/// Shortens an array, and gives its memory back.
fn cut_array<T>(values: &mut Vec<T>, most: usize) {
    values.truncate(most);
    values.shrink_to_fit();
}

#[cfg(test)]
mod tests;
