//! The layer that turns events into log lines.

use super::directives::own_lines;
use super::fields::{self, SpanFields};
use super::json::Object;
use super::log_crate::write_key_values;
use super::timestamp::Timestamp;
use crate::config::LogLines;
use crate::current::{self, TakenIn};
use crate::error::InitError;
use crate::filter as filters;
use crate::names;
use crate::series::{self, Counter};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, SpanId, TraceId};
use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::time::SystemTime;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::dispatcher::WeakDispatch;
use tracing_log::NormalizeEvent;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The target that a record of the `log` crate has as an event.
const LOG_CRATE: &str = "log";
/// A buffer that grew beyond this size for one long line is freed.
const KEPT_BUFFER: usize = 64 * 1024;

/// The layer; it calls `write` once per line.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S, W>(lines: &LogLines, service: &str, write: W) -> Result<impl Layer<S> + use<S, W>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&[u8]) -> io::Result<()> + Send + Sync + 'static,
{
    let directives = filters::directives(&lines.filter)?;
    let lost = series::counter(&names::TELEMETRY_DROPPED, &["logs", "io_error"]);
    let layer = JsonLines {
        service: service.to_owned(),
        span_fields: lines.span_fields,
        write,
        lost,
        dispatch: OnceLock::new(),
    };
    let own_lines = own_lines(&lines.filter.directives);
    Ok(layer.with_filter(filters::context_spans().or(own_lines).or(directives)))
}

struct JsonLines<W> {
    service: String,
    span_fields: bool,
    write: W,
    lost: Counter,
    dispatch: OnceLock<WeakDispatch>,
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Fn(&[u8]) -> io::Result<()> + 'static,
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
            if (self.write)(line.as_bytes()).is_err() {
                self.lost.add(1);
            }
        });
    }
}

impl<W> JsonLines<W> {
    fn write_line<S>(
        &self,
        line: &mut String,
        event: &Event<'_>,
        metadata: &Metadata<'_>,
        context: &LayerContext<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut object = Object::open(line);
        object.text("timestamp", &Timestamp(SystemTime::now()));
        object.text("level", metadata.level());
        object.text("target", &metadata.target());
        fields::write_message(&mut object, event);
        let span = self.span_of(event, context);
        if let Some(SpanOfLine { trace_id, span_id, is_sampled }) = &span {
            object.text("trace_id", trace_id);
            object.text("span_id", span_id);
            object.plain("sampled", is_sampled);
        }
        object.text("service", &self.service);
        fields::write_event(&mut object, event);
        let mut written: Vec<Cow<'static, str>> = event.fields().map(|field| field.name().into()).collect();
        if event.metadata().target() == LOG_CRATE {
            written.extend(write_key_values(&mut object).into_iter().map(Cow::Owned));
        }
        if let Some(spans) = context.event_scope(event).filter(|_| self.span_fields) {
            fields::write_spans(&mut object, &mut written, spans);
        }
        if let Some(operation) = operation(event, context, span.as_ref()) {
            object.text("operation", &operation);
        }
        object.close();
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
