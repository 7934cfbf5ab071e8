//! The fields of events and spans, as members of a line. No key stands twice in a line.

use super::line::{Line, Value};
use crate::causes::Causes;
use crate::names::{self, RESERVED_LOG_KEYS};
use crate::scrub::Class;
use std::error::Error;
use std::fmt;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// The most fields that a line takes over from the spans around it.
const MOST_INHERITED: usize = 64;
/// The most bytes of them.
const MOST_INHERITED_BYTES: usize = 16 * 1024;

const MESSAGE: &str = "message";
/// Stands before a field's name that is one of the library's own keys.
const PREFIX: &str = "field.";

/// Takes the fields that are shown, with their types.
struct Fields<T>(T);

impl<T: FnMut(&Field, Value<'_>)> Fields<T> {
    fn take(&mut self, field: &Field, value: Value<'_>) {
        if !names::is_origin_of_log_record(field.name()) {
            (self.0)(field, value);
        }
    }
}

impl<T: FnMut(&Field, Value<'_>)> Visit for Fields<T> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Value::Text(&format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Value::Str(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Value::U64(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, Value::F64(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.take(field, Value::Text(&Causes(value)));
    }
}

/// Writes a member under a key that is none of the library's own: such a field becomes `field.<key>`. Two names never
/// become the same key.
pub(super) fn write_unreserved(line: &mut Line<'_>, key: &str, class: Class, value: Value<'_>) {
    let mut bare = key;
    while let Some(rest) = bare.strip_prefix(PREFIX) {
        bare = rest;
    }
    if RESERVED_LOG_KEYS.contains(&bare) {
        line.member(&format!("{PREFIX}{key}"), class, value);
    } else {
        line.member(key, class, value);
    }
}

/// Writes the message of an event, then `middle`, then its other fields. Of several fields with one name the first one
/// counts.
pub(super) fn write_event(line: &mut Line<'_>, event: &Event<'_>, middle: impl FnOnce(&mut Line<'_>)) {
    let mut middle = Some(middle);
    let mut written = 0_u64;
    event.record(&mut Fields(|field: &Field, value: Value<'_>| {
        let is_written = |earlier: usize| written >> earlier & 1 == 1;
        let mut earlier = event.metadata().fields().iter().take(field.index());
        if earlier.any(|earlier| earlier.name() == field.name() && is_written(earlier.index())) {
            return;
        }
        written |= 1_u64.checked_shl(u32::try_from(field.index()).unwrap_or(u32::MAX)).unwrap_or(0);
        let is_message = field.name() == MESSAGE;
        if is_message {
            line.message(value);
        }
        // The message comes first where there is one.
        if let Some(middle) = middle.take() {
            middle(line);
        }
        if !is_message {
            write_unreserved(line, field.name(), Class::of_static(field.name()), value);
        }
    }));
    if let Some(middle) = middle {
        middle(line);
    }
}

/// The fields of a span, as JSON values, for the lines inside of it.
#[derive(Default)]
pub(super) struct SpanFields(Vec<(&'static str, Vec<u8>)>);

impl SpanFields {
    /// Adds the fields that `record` shows to a visitor; of one that is there already it replaces the value.
    pub(super) fn add(&mut self, record: impl FnOnce(&mut dyn Visit)) {
        record(&mut Fields(|field: &Field, value: Value<'_>| {
            if field.name() != MESSAGE {
                let mut json = Vec::new();
                value.write(&mut json, Class::of_static(field.name()));
                self.set(field.name(), json);
            }
        }));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over these fields; of one that is there already the value is replaced.
    pub(super) fn replace_by(&mut self, others: Self) {
        for (key, value) in others.0 {
            self.set(key, value);
        }
    }

    fn set(&mut self, key: &'static str, value: Vec<u8>) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key, value)),
        }
    }
}

/// Writes the fields of the spans around an event, from the innermost outwards, but for keys that `is_written` knows.
pub(super) fn write_spans<'registry, R>(
    line: &mut Line<'_>,
    is_written: impl Fn(&str) -> bool,
    spans: Scope<'registry, R>,
) where
    R: LookupSpan<'registry>,
{
    let mut inherited: Vec<&'static str> = Vec::new();
    let mut bytes = 0;
    for span in spans {
        let extensions = span.extensions();
        let Some(SpanFields(fields)) = extensions.get() else {
            continue;
        };
        for (key, value) in fields {
            if inherited.contains(key) || is_written(key) {
                continue;
            }
            bytes += key.len() + value.len();
            if inherited.len() == MOST_INHERITED || bytes > MOST_INHERITED_BYTES {
                return;
            }
            inherited.push(key);
            write_unreserved(line, key, Class::NOT_SCANNED, Value::Json(value));
        }
    }
}
