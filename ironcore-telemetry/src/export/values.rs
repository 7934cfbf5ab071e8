//! The messages that all signals share: attributes, scopes and the resource. Keys and values are cut at their limits, and secrets are
//! masked: here, on the telemetry thread, and nowhere else on the way of a span.

use super::wire;
use crate::redact::{VALUE_LIMIT, truncate};
use crate::scrub::{Class, TRACES};
use bytes::Bytes;
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest name or key, in bytes.
pub(crate) const NAME_LIMIT: usize = 1024;

/// A name, cut at its limit.
pub(crate) fn name(to: &mut Vec<u8>, field: u32, name: &str) {
    wire::bytes(to, field, TRACES.text(Class::of(""), name, NAME_LIMIT).as_bytes());
}

/// A text, cut at the limit of values.
pub(crate) fn text(to: &mut Vec<u8>, field: u32, text: &str) {
    wire::bytes(to, field, TRACES.text(Class::of(""), text, VALUE_LIMIT).as_bytes());
}

/// An attribute, as a `KeyValue`.
pub(crate) fn attribute(to: &mut Vec<u8>, field: u32, key: &Key, value: &Value) {
    attribute_of(to, field, (key, Class::remembered(key.as_str())), value);
}

/// An attribute whose value is one of a closed set, under a name that the program has: neither is scanned.
pub(crate) fn closed_attribute(to: &mut Vec<u8>, field: u32, key: &Key, value: &Value) {
    attribute_of(to, field, (key, Class::NOT_SCANNED), value);
}

fn attribute_of(to: &mut Vec<u8>, field: u32, (key, class): (&Key, Class), value: &Value) {
    wire::message(to, field, |to| {
        wire::bytes(to, 1, truncate(key.as_str(), NAME_LIMIT).as_bytes());
        wire::message(to, 2, |to| any_value(to, class, value));
    });
}

pub(crate) fn attributes<'a>(to: &mut Vec<u8>, field: u32, pairs: impl IntoIterator<Item = &'a KeyValue>) {
    for pair in pairs {
        attribute(to, field, &pair.key, &pair.value);
    }
}

fn any_value(to: &mut Vec<u8>, class: Class, value: &Value) {
    match value {
        Value::Bool(value) => boolean(to, *value),
        Value::I64(value) => integer(to, class, *value),
        Value::F64(value) => float(to, *value),
        Value::String(value) => string(to, class, value.as_str()),
        Value::Array(values) => wire::message(to, 5, |to| match values {
            Array::Bool(values) => array(to, values, |to, value| boolean(to, *value)),
            Array::I64(values) => array(to, values, |to, value| integer(to, class, *value)),
            Array::F64(values) => array(to, values, |to, value| float(to, *value)),
            Array::String(values) => array(to, values, |to, value| string(to, class, value.as_str())),
            _ => {}
        }),
        // The API may grow kinds of values: their text is better than nothing.
        other => string(to, class, &other.as_str()),
    }
}

fn boolean(to: &mut Vec<u8>, value: bool) {
    wire::uint_of_oneof(to, 2, u64::from(value));
}

fn integer(to: &mut Vec<u8>, class: Class, value: i64) {
    match u64::try_from(value).ok().and_then(|number| TRACES.number(class, number)) {
        Some(mask) => wire::bytes_of_oneof(to, 1, mask.as_bytes()),
        None => wire::uint_of_oneof(to, 3, value.cast_unsigned()),
    }
}

fn float(to: &mut Vec<u8>, value: f64) {
    wire::double_of_oneof(to, 4, value);
}

fn string(to: &mut Vec<u8>, class: Class, value: &str) {
    wire::bytes_of_oneof(to, 1, TRACES.text(class, value, VALUE_LIMIT).as_bytes());
}

/// The values of an array, as many as the limit of a value lets through.
fn array<T>(to: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    let start = to.len();
    for value in values {
        let before = to.len();
        wire::message(to, 1, |to| write(to, value));
        if to.len() - start > VALUE_LIMIT {
            to.truncate(before);
            return;
        }
    }
}

/// An instrumentation scope.
pub(super) fn scope(to: &mut Vec<u8>, scope: &InstrumentationScope) {
    name(to, 1, scope.name());
    name(to, 2, scope.version().unwrap_or_default());
    attributes(to, 3, scope.attributes());
}

/// A moment in nanoseconds since 1970; 0 for an earlier one.
pub(crate) fn unix_nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The fields of a resource before its scopes, as they stand in `ResourceSpans`.
pub(crate) fn resource(resource: &Resource) -> Bytes {
    const RESOURCE: u32 = 1;
    const SCHEMA_URL: u32 = 3;
    let mut encoded = Vec::new();
    wire::message(&mut encoded, RESOURCE, |to| {
        for (key, value) in resource {
            attribute(to, 1, key, value);
        }
    });
    wire::bytes(&mut encoded, SCHEMA_URL, resource.schema_url().unwrap_or_default().as_bytes());
    Bytes::from(encoded)
}
