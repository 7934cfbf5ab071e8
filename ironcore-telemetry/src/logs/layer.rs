//! The layer that turns events into log lines, and warnings and errors also into events of the current span.

use super::json::Object;
use crate::config::Filter;
use crate::current;
use crate::error::InitError;
use crate::names::{self, RESERVED_LOG_KEYS};
use crate::redact::{VALUE_LIMIT, truncate};
use crate::series::{self, Counter};
use crate::worker;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// The target of this library's own messages.
const OWN_TARGET: &str = "ironcore_telemetry";
/// A buffer that grew beyond this size for one long line is freed.
const KEPT_BUFFER: usize = 64 * 1024;

/// The layer; it calls `write` once per line.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S, W>(filter: &Filter, service: &str, write: W) -> Result<impl Layer<S> + use<S, W>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static,
{
    let directives = EnvFilter::builder().parse(&filter.directives).map_err(|error| filter.refused(&error))?;
    let lost = series::counter(&names::TELEMETRY_DROPPED, &["logs", "io_error"]);
    Ok(JsonLines { service: service.to_owned(), write, lost }.with_filter(directives))
}

/// Turns records of the `log` crate into events. A logger that is already set stays.
pub(crate) fn forward_log_crate() {
    let _ = tracing_log::LogTracer::init();
}

struct JsonLines<W> {
    service: String,
    write: W,
    lost: Counter,
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber,
    W: Fn(&[u8]) -> io::Result<()> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let forwarded = event.normalized_metadata();
        let metadata = forwarded.as_ref().unwrap_or_else(|| event.metadata());
        if is_about_transport(metadata) {
            return;
        }
        with_buffer(|line| {
            self.write_line(line, event, metadata);
            if (self.write)(line.as_bytes()).is_err() {
                self.lost.add(1);
            }
        });
        if *metadata.level() <= Level::WARN {
            add_to_span(event, metadata);
        }
    }
}

impl<W> JsonLines<W> {
    fn write_line(&self, line: &mut String, event: &Event<'_>, metadata: &Metadata<'_>) {
        let mut object = Object::open(line);
        object.text("timestamp", &Timestamp(SystemTime::now()));
        object.text("level", metadata.level());
        object.text("target", &metadata.target());
        event.record(&mut Message(&mut object));
        if let Some(CurrentSpan { trace_id, span_id, is_sampled }) = CurrentSpan::read() {
            object.text("trace_id", &trace_id);
            object.text("span_id", &span_id);
            object.plain("sampled", &is_sampled);
        }
        object.text("service", &self.service);
        event.record(&mut Fields(&mut object));
        if let Some(operation) = current::operation() {
            object.text("operation", &operation);
        }
        object.close();
    }
}

/// The exporter's events for a failed attempt, which report the spans as lost although the queue keeps or counts them.
const FALSE_ALARMS: [&str; 2] = ["Export.Failed.Exhausted", "Export.Failed.NonRetryable"];

/// Whether an event comes from the transports on the telemetry thread and is left out: below `WARN` it only helps their
/// authors and may quote request headers, and [`FALSE_ALARMS`] are wrong.
fn is_about_transport(metadata: &Metadata<'_>) -> bool {
    !metadata.target().starts_with(OWN_TARGET)
        && (*metadata.level() > Level::WARN || FALSE_ALARMS.contains(&metadata.name()))
        && worker::is_own_thread()
}

/// The ids of the current span, for a log line.
struct CurrentSpan {
    trace_id: TraceId,
    span_id: SpanId,
    is_sampled: bool,
}

impl CurrentSpan {
    fn read() -> Option<Self> {
        Context::map_current(|context| {
            let span = context.span();
            let ids = span.span_context();
            let read = || Self { trace_id: ids.trace_id(), span_id: ids.span_id(), is_sampled: ids.is_sampled() };
            ids.is_valid().then(read)
        })
    }
}

/// Lends the thread's buffer. When a value's `Debug` logs in turn, that inner line gets a new buffer.
fn with_buffer(work: impl FnOnce(&mut String)) {
    thread_local! {
        static BUFFER: Cell<String> = const { Cell::new(String::new()) };
    }
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    work(&mut buffer);
    buffer.clear();
    if buffer.capacity() <= KEPT_BUFFER {
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
}

/// Adds a warning or an error to the current span, whose trace should show it.
fn add_to_span(event: &Event<'_>, metadata: &Metadata<'_>) {
    let recording = Context::map_current(|context| context.span().is_recording());
    if !recording {
        return;
    }
    let mut collected = Collected::default();
    event.record(&mut collected);
    collected.attributes.push(KeyValue::new("level", metadata.level().as_str()));
    collected.attributes.push(KeyValue::new("target", metadata.target().to_owned()));
    Context::map_current(|context| {
        context.span().add_event(collected.message, collected.attributes);
    });
}

/// Whether a field holds the source location of a record of the `log` crate.
fn is_origin_of_log_record(field: &Field) -> bool {
    matches!(field.name(), "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// Writes the message.
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

/// Writes every field but the message, with its type.
struct Fields<'object, 'buffer>(&'object mut Object<'buffer>);

impl Fields<'_, '_> {
    fn text(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.member(field, |object, key| object.text(key, value));
    }

    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.member(field, |object, key| object.plain(key, value));
    }

    fn member(&mut self, field: &Field, write: impl FnOnce(&mut Object<'_>, &str)) {
        match field.name() {
            "message" => {}
            _ if is_origin_of_log_record(field) => {}
            reserved if RESERVED_LOG_KEYS.contains(&reserved) => {
                write(self.0, &format!("field.{reserved}"));
            }
            key => write(self.0, key),
        }
    }
}

impl Visit for Fields<'_, '_> {
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

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value);
    }
}

/// The message and fields of an event, for a span.
#[derive(Default)]
struct Collected {
    message: String,
    attributes: Vec<KeyValue>,
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let value = truncate(value, VALUE_LIMIT).to_owned();
        if field.name() == "message" {
            self.message = value;
        } else if !is_origin_of_log_record(field) {
            self.attributes.push(KeyValue::new(field.name(), value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => self.record_str(field, &value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }
}

/// A moment as RFC 3339 in UTC, to the microsecond.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since: Duration = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second, micros) = (second / 3600, second / 60 % 60, second % 60, since.subsec_micros());
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// The Gregorian date of a day counted from 1970-01-01, by counting in eras of 400 years that begin on 1 March
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_utc_to_the_microsecond() {
        let at = |seconds, nanos| Timestamp(UNIX_EPOCH + Duration::new(seconds, nanos)).to_string();
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_827_696, 123_456_789), "2000-02-29T12:34:56.123456Z");
        assert_eq!(at(1_795_429_231, 999), "2026-11-23T10:20:31.000000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }
}
