//! The fields of events and spans, as members of a line.

use super::json::{self, Object};
use crate::causes::Causes;
use crate::names::{self, RESERVED_LOG_KEYS};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// The most fields that a line takes over from the spans around it.
const MOST_INHERITED: usize = 64;
/// The most bytes of them.
const MOST_INHERITED_BYTES: usize = 16 * 1024;

/// Takes fields, each as a JSON value.
trait Take {
    /// A value that is text.
    fn text(&mut self, key: &'static str, value: &dyn fmt::Display);

    /// A number or a boolean.
    fn plain(&mut self, key: &'static str, value: &dyn fmt::Display);
}

/// Passes on every field but the message, with its type.
struct Fields<'taker, T>(&'taker mut T);

impl<T: Take> Fields<'_, T> {
    fn text(&mut self, field: &Field, value: &dyn fmt::Display) {
        if is_shown(field) {
            self.0.text(field.name(), value);
        }
    }

    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        if is_shown(field) {
            self.0.plain(field.name(), value);
        }
    }
}

fn is_shown(field: &Field) -> bool {
    field.name() != "message" && !names::is_origin_of_log_record(field.name())
}

impl<T: Take> Visit for Fields<'_, T> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON cannot express NaN and infinity.
        if value.is_finite() {
            self.plain(field, &value);
        } else {
            self.text(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, &Causes(value));
    }
}

impl Take for Object<'_> {
    fn text(&mut self, key: &'static str, value: &dyn fmt::Display) {
        unreserved(key, |key| Object::text(self, key, value));
    }

    fn plain(&mut self, key: &'static str, value: &dyn fmt::Display) {
        unreserved(key, |key| Object::plain(self, key, value));
    }
}

/// A key of the library's own is not overwritten: the field becomes `field.<key>`.
pub(super) fn unreserved<R>(key: &str, write: impl FnOnce(&str) -> R) -> R {
    if RESERVED_LOG_KEYS.contains(&key) { write(&format!("field.{key}")) } else { write(key) }
}

/// Writes the fields of an event.
pub(super) fn write_event(object: &mut Object<'_>, event: &Event<'_>) {
    event.record(&mut Fields(object));
}

/// Writes the message of an event.
pub(super) fn write_message(object: &mut Object<'_>, event: &Event<'_>) {
    event.record(&mut Message(object));
}

struct Message<'object, 'buffer>(&'object mut Object<'buffer>);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.text("message", &format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0.text("message", &value);
        }
    }
}

/// The fields of a span, as JSON values, for the lines inside of it.
#[derive(Default)]
pub(super) struct SpanFields(Vec<(&'static str, String)>);

impl SpanFields {
    /// Adds the fields that `record` shows to a visitor; of one that is there already it replaces the value.
    pub(super) fn add(&mut self, record: impl FnOnce(&mut dyn Visit)) {
        record(&mut Fields(self));
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

    fn set(&mut self, key: &'static str, value: String) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None => self.0.push((key, value)),
        }
    }
}

impl Take for SpanFields {
    fn text(&mut self, key: &'static str, value: &dyn fmt::Display) {
        let mut text = String::new();
        json::write_text(&mut text, value);
        self.set(key, text);
    }

    fn plain(&mut self, key: &'static str, value: &dyn fmt::Display) {
        self.set(key, value.to_string());
    }
}

/// Writes the fields of the spans around an event, from the innermost outwards, but for keys that are written already.
pub(super) fn write_spans<'registry, R>(
    object: &mut Object<'_>,
    written: &mut Vec<Cow<'static, str>>,
    spans: Scope<'registry, R>,
) where
    R: LookupSpan<'registry>,
{
    let of_event = written.len();
    let mut bytes = 0;
    for span in spans {
        let extensions = span.extensions();
        let Some(SpanFields(fields)) = extensions.get() else {
            continue;
        };
        for (key, value) in fields {
            if written.iter().any(|written| written == key) {
                continue;
            }
            bytes += key.len() + value.len();
            if written.len() - of_event == MOST_INHERITED || bytes > MOST_INHERITED_BYTES {
                return;
            }
            written.push(Cow::Borrowed(*key));
            unreserved(key, |key| object.json(key, value));
        }
    }
}
