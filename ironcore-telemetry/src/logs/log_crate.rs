//! Records of the `log` crate as events, with their key-values.

use super::fields::unreserved;
use super::json::{self, Object};
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use tracing_log::LogTracer;

thread_local! {
    /// The key-values of the record that becomes an event now, each value as JSON: an event has no place for them.
    static KEY_VALUES: RefCell<Vec<(String, String)>> = const { RefCell::new(Vec::new()) };
}

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
struct Restore(Vec<(String, String)>);

impl Drop for Restore {
    fn drop(&mut self) {
        KEY_VALUES.replace(std::mem::take(&mut self.0));
    }
}

/// Writes the key-values of the record that has become this event, and returns their keys.
pub(super) fn write_key_values(object: &mut Object<'_>) -> Vec<String> {
    let write = |(key, value): (String, String)| {
        unreserved(&key, |key| object.json(key, &value));
        key
    };
    KEY_VALUES.take().into_iter().map(write).collect()
}

struct Collect(Vec<(String, String)>);

impl<'record> VisitSource<'record> for Collect {
    fn visit_pair(&mut self, key: Key<'record>, value: Value<'record>) -> Result<(), kv::Error> {
        if self.0.len() < MOST && !self.0.iter().any(|(known, _)| known == key.as_str()) {
            let mut json = String::new();
            value.visit(Json(&mut json))?;
            self.0.push((key.as_str().to_owned(), json));
        }
        Ok(())
    }
}

struct Json<'text>(&'text mut String);

impl VisitValue<'_> for Json<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        json::write_text(self.0, &value);
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        // JSON cannot express NaN and infinity.
        if value.is_finite() {
            self.0.push_str(&value.to_string());
            Ok(())
        } else {
            self.visit_any(Value::from_display(&value))
        }
    }
}
