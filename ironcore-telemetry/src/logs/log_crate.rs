//! Records of the `log` crate as events, with their key-values.

use super::fields::write_unreserved;
use super::line::{self, Line};
use crate::scrub::Class;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use tracing_log::LogTracer;

thread_local! {
    /// The key-values of the record that becomes an event now, each value as JSON: an event has no place for them.
    static KEY_VALUES: RefCell<Vec<KeyValue>> = const { RefCell::new(Vec::new()) };
}

/// A key with its value as JSON.
type KeyValue = (String, Vec<u8>);

/// The most key-values of a record that are kept.
const MOST: usize = 64;

/// Turns records of the `log` crate into events. A logger that is already set stays.
pub(crate) fn forward_log_crate() {
    if log::set_boxed_logger(Box::new(Forward(LogTracer::new()))).is_ok() {
        // The subscriber decides.
        log::set_max_level(LevelFilter::max());
    }
}

struct Forward(LogTracer);

impl Log for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut collected = Collect(Vec::new());
        // An error is a source that stops half-way; what came until then stays.
        let _ = record.key_values().visit(&mut collected);
        // A message that logs in turn while it is formatted must not take these.
        let _restore = Restore(KEY_VALUES.replace(collected.0));
        self.0.log(record);
    }

    fn flush(&self) {}
}

/// Puts the key-values of the record around this one back.
struct Restore(Vec<KeyValue>);

impl Drop for Restore {
    fn drop(&mut self) {
        KEY_VALUES.replace(std::mem::take(&mut self.0));
    }
}

/// Writes the key-values of the record that has become this event, and returns their keys.
pub(super) fn write_key_values(line: &mut Line<'_>) -> Vec<String> {
    let write = |(key, value): KeyValue| {
        write_unreserved(line, &key, Class::NOT_SCANNED, line::Value::Json(&value));
        key
    };
    KEY_VALUES.take().into_iter().map(write).collect()
}

struct Collect(Vec<KeyValue>);

impl<'record> VisitSource<'record> for Collect {
    fn visit_pair(&mut self, key: Key<'record>, value: Value<'record>) -> Result<(), kv::Error> {
        if self.0.len() < MOST && !self.0.iter().any(|(known, _)| known == key.as_str()) {
            let mut json = Vec::new();
            value.visit(Json(&mut json, Class::of(key.as_str())))?;
            self.0.push((key.as_str().to_owned(), json));
        }
        Ok(())
    }
}

/// Writes a value as JSON, under its name.
struct Json<'text>(&'text mut Vec<u8>, Class);

impl Json<'_> {
    fn write(&mut self, value: line::Value<'_>) {
        value.write(self.0, self.1);
    }
}

impl VisitValue<'_> for Json<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.write(line::Value::Text(&value));
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.write(line::Value::Json(b"null"));
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.write(line::Value::Bool(value));
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.write(line::Value::U64(value));
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.write(line::Value::I64(value));
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.write(line::Value::F64(value));
        Ok(())
    }
}
