//! The layer that turns events into log lines.

use super::directives::own_lines;
use super::fields::{self, SpanFields};
use super::line::{self, Line, Value};
use super::log_crate::write_key_values;
use super::timestamp;
use crate::config::{LogFormat, LogLines};
use crate::current::{self, TakenIn};
use crate::error::InitError;
use crate::filter as filters;
use crate::scrub::Class;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, SpanId, TraceId};
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::SystemTime;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_core::dispatcher::WeakDispatch;
use tracing_log::NormalizeEvent;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The targets of lines whose values are all of closed sets: methods, routes, statuses.
const ACCESS_LINES: [&str; 2] = ["http_access", "grpc_access"];
/// The target that a record of the `log` crate has as an event.
const LOG_CRATE: &str = "log";
/// A buffer that grew beyond this size for one long line is freed.
const KEPT_BUFFER: usize = 64 * 1024;

/// The layer; it calls `write` once per line, with the line's level. The writer counts what it loses.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S, W>(lines: &LogLines, service: &str, write: W) -> Result<impl Layer<S> + use<S, W>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&[u8], Level) + Send + Sync + 'static,
{
    let directives = filters::directives(&lines.filter)?;
    let format = lines.format;
    let mut member = Vec::new();
    Line::begin(&mut member, format).member("service", Class::NOT_SCANNED, Value::Str(service));
    if format == LogFormat::Json {
        // The brace that begins an object.
        member.remove(0);
    }
    let layer = Lines { service: member, format, span_fields: lines.span_fields, write, dispatch: OnceLock::new() };
    let own_lines = own_lines(&lines.filter.directives);
    Ok(layer.with_filter(filters::context_spans().or(own_lines).or(directives)))
}

struct Lines<W> {
    /// The member that names the service.
    service: Vec<u8>,
    format: LogFormat,
    span_fields: bool,
    write: W,
    dispatch: OnceLock<WeakDispatch>,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&[u8], Level) + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        if !self.span_fields || attributes.is_empty() {
            return;
        }
        let mut fields = SpanFields::default();
        fields.add(|visitor| attributes.record(visitor));
        if let Some(span) = context.span(id).filter(|_| !fields.is_empty()) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        let Some(span) = context.span(id).filter(|_| self.span_fields) else {
            return;
        };
        // Formatted without a lock on the span: what is formatted may log.
        let mut recorded = SpanFields::default();
        recorded.add(|visitor| values.record(visitor));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanFields>() {
            Some(fields) => fields.replace_by(recorded),
            None => extensions.insert(recorded),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let forwarded = event.normalized_metadata();
        let metadata = forwarded.as_ref().unwrap_or_else(|| event.metadata());
        with_buffer(|line| {
            self.write_line(line, event, metadata, &context);
            (self.write)(line, *metadata.level());
        });
    }
}

impl<W> Lines<W> {
    fn write_line<S>(
        &self,
        buffer: &mut Vec<u8>,
        event: &Event<'_>,
        metadata: &Metadata<'_>,
        context: &LayerContext<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut line = Line::begin(buffer, self.format);
        if ACCESS_LINES.contains(&metadata.target()) {
            line.is_closed();
        }
        let level = *metadata.level();
        if let LogFormat::Pretty { .. } = self.format {
            let mut time = Vec::with_capacity(32);
            timestamp::write(&mut time, SystemTime::now());
            // Hours to milliseconds.
            line.dim(time.get(11..23).unwrap_or_default());
            line.shown(level_colour(level), level_text(level));
        } else {
            line.clean("timestamp", |to| timestamp::write(to, SystemTime::now()));
            line.clean("level", |to| to.extend_from_slice(level.as_str().as_bytes()));
            line.member("target", Class::NOT_SCANNED, Value::Str(metadata.target()));
        }
        let span = self.span_of(event, context);
        fields::write_event(&mut line, event, |line| self.write_context(line, span.as_ref()));
        let of_record = if event.metadata().target() == LOG_CRATE { write_key_values(&mut line) } else { Vec::new() };
        if let Some(spans) = context.event_scope(event).filter(|_| self.span_fields) {
            let is_written = |key: &str| {
                event.fields().any(|field| field.name() == key) || of_record.iter().any(|written| written == key)
            };
            fields::write_spans(&mut line, is_written, spans);
        }
        let operation = operation(event, context, span.as_ref());
        if let LogFormat::Pretty { .. } = self.format {
            line.dim(operation.unwrap_or_else(|| metadata.target()).as_bytes());
            if let Some(SpanOfLine { trace_id, .. }) = &span {
                let mut id = Vec::with_capacity(8);
                line::hex(&mut id, trace_id.to_bytes().get(..4).unwrap_or_default());
                line.dim(&id);
            }
        } else if let Some(operation) = operation {
            line.member("operation", Class::NOT_SCANNED, Value::Str(operation));
        }
        line.end();
    }

    /// The ids and the service, which stand behind the message.
    fn write_context(&self, line: &mut Line<'_>, span: Option<&SpanOfLine>) {
        if let LogFormat::Pretty { .. } = self.format {
            return;
        }
        if let Some(SpanOfLine { trace_id, span_id, is_sampled }) = span {
            line.clean("trace_id", |to| line::hex(to, &trace_id.to_bytes()));
            line.clean("span_id", |to| line::hex(to, &span_id.to_bytes()));
            line.member("sampled", Class::NOT_SCANNED, Value::Bool(*is_sampled));
        }
        line.members(&self.service);
    }

    /// The span that the line belongs to.
    fn span_of<S>(&self, event: &Event<'_>, context: &LayerContext<'_, S>) -> Option<SpanOfLine>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // The API of OpenTelemetry reports its own trouble while it holds the context.
        if event.is_root() || event.metadata().target() == "opentelemetry" {
            return None;
        }
        let Some(parent) = event.parent() else {
            return Context::map_current(SpanOfLine::of);
        };
        // An id may be kept for longer than its span.
        if !context.exists(parent) {
            return None;
        }
        let dispatch = self.dispatch.get()?.upgrade()?;
        get_otel_context(parent, &dispatch).as_ref().and_then(SpanOfLine::of)
    }
}

/// A level, as wide as all others.
const fn level_text(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"ERROR",
        Level::WARN => b" WARN",
        Level::INFO => b" INFO",
        Level::DEBUG => b"DEBUG",
        Level::TRACE => b"TRACE",
    }
}

/// The colour of a level (ECMA-48, SGR).
const fn level_colour(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"\x1b[1;31m",
        Level::WARN => b"\x1b[33m",
        Level::INFO => b"\x1b[32m",
        Level::DEBUG => b"\x1b[34m",
        Level::TRACE => b"\x1b[35m",
    }
}

/// The operation that a line belongs to: that in which the span around the line was taken, if it carries the span of the
/// line, else that of the thread.
fn operation<S>(event: &Event<'_>, context: &LayerContext<'_, S>, span: Option<&SpanOfLine>) -> Option<&'static str>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if event.is_root() {
        return None;
    }
    let taken = context
        .event_scope(event)
        .and_then(|mut spans| spans.find_map(|around| around.extensions().get::<TakenIn>().copied()));
    let of_line = |taken: &TakenIn| span.is_some_and(|span| taken.span_id == span.span_id.to_bytes());
    match (taken, event.parent()) {
        (Some(taken), _) if of_line(&taken) => taken.operation,
        (taken, Some(_)) => taken.and_then(|taken| taken.operation),
        (taken, None) => current::operation().or_else(|| taken.and_then(|taken| taken.operation)),
    }
}

/// The ids of a span, for a log line.
struct SpanOfLine {
    trace_id: TraceId,
    span_id: SpanId,
    is_sampled: bool,
}

impl SpanOfLine {
    fn of(context: &Context) -> Option<Self> {
        let span = context.span();
        let ids = span.span_context();
        let read = || Self { trace_id: ids.trace_id(), span_id: ids.span_id(), is_sampled: ids.is_sampled() };
        ids.is_valid().then(read)
    }
}

/// Lends the thread's buffer. When a value's `Debug` logs in turn, that inner line gets a new buffer.
fn with_buffer(work: impl FnOnce(&mut Vec<u8>)) {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
    work(&mut buffer);
    buffer.clear();
    if buffer.capacity() <= KEPT_BUFFER {
        let _ = BUFFER.try_with(|kept| kept.set(buffer));
    }
}
