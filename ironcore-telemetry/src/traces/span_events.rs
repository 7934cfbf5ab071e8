//! Warnings and errors that are logged, as events of the span they happened in.

use super::tracing_span::is_tracing_span;
use crate::caught::caught;
use crate::causes::Causes;
use crate::config::Filter;
use crate::error::InitError;
use crate::filter as filters;
use crate::names::{self, CLOSING_LINES, EXCEPTION, PANIC_TARGET, attribute};
use crate::redact::{bounded, truncate};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};
use std::sync::OnceLock;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_core::dispatcher::WeakDispatch;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, dynamic_filter_fn};
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The layer. An error in a `tracing` span also gives the span the status `Error`; the spans of operations and requests
/// keep the status of their outcome.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn span_events<S>(filter: &Filter) -> Result<impl Layer<S> + use<S>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_wanted = |metadata: &tracing::Metadata<'_>| {
        // The closing line of an operation or a request says nothing that its span does not say.
        metadata.is_event() && *metadata.level() <= Level::WARN && !CLOSING_LINES.contains(&metadata.target())
    };
    let wanted = dynamic_filter_fn(move |metadata, _| is_wanted(metadata))
        .with_callsite_filter(move |metadata| if is_wanted(metadata) { Interest::always() } else { Interest::never() })
        .with_max_level_hint(Level::WARN);
    Ok(SpanEvents::default().with_filter(wanted.and(filters::directives(filter)?)))
}

#[derive(Default)]
pub(super) struct SpanEvents {
    dispatch: OnceLock<WeakDispatch>,
}

impl SpanEvents {
    /// The context whose span gets the event.
    fn context_of<S>(&self, event: &Event<'_>, layer: &LayerContext<'_, S>) -> Option<Context>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // The API of OpenTelemetry reports its own trouble while it holds the context.
        if event.is_root() || event.metadata().target() == "opentelemetry" {
            return None;
        }
        let Some(parent) = event.parent() else {
            return Some(Context::current());
        };
        // An id may be kept for longer than its span.
        if !layer.exists(parent) {
            return None;
        }
        let dispatch = self.dispatch.get()?.upgrade()?;
        get_otel_context(parent, &dispatch)
    }
}

impl<S> Layer<S> for SpanEvents
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, layer: LayerContext<'_, S>) {
        let Some(context) = self.context_of(event, &layer) else {
            return;
        };
        let span = context.span();
        if !span.is_recording() {
            return;
        }
        let mut collected = Collected::default();
        event.record(&mut collected);
        if *event.metadata().level() == Level::ERROR && is_tracing_span(&context) {
            span.set_status(Status::error(collected.description()));
        }
        let (name, attributes) = collected.into_event(event);
        span.add_event(name, attributes);
    }
}

/// The message and fields of an event.
#[derive(Default)]
struct Collected {
    message: Option<String>,
    attributes: Vec<KeyValue>,
    /// The type, where it is known, and the text of the error.
    error: Option<(Option<String>, String)>,
    /// The target of a record of the `log` crate.
    target: Option<String>,
}

impl Collected {
    /// What a span says of its failure.
    fn description(&self) -> String {
        let error = || self.error.as_ref().map(|(_, text)| text.clone());
        self.message.clone().or_else(error).unwrap_or_default()
    }

    /// The name and the attributes of the event. OTLP requires a name.
    fn into_event(self, event: &Event<'_>) -> (Cow<'static, str>, Vec<KeyValue>) {
        let Self { message, mut attributes, error, target } = self;
        let message = message.filter(|message| !message.is_empty());
        let target = target.map_or(Cow::Borrowed(event.metadata().target()), Cow::Owned);
        attributes.push(KeyValue::new("level", event.metadata().level().as_str()));
        attributes.push(KeyValue::new("target", Value::String(target.clone().into())));
        let error = match message {
            Some(ref message) if target == PANIC_TARGET => Some((Some(PANIC_TARGET.to_owned()), message.clone())),
            _ => error,
        };
        let name = match error {
            Some((kind, text)) => {
                attributes.extend(kind.map(|kind| KeyValue::new(attribute::EXCEPTION_TYPE, kind)));
                attributes.push(KeyValue::new(attribute::EXCEPTION_MESSAGE, text));
                attributes.extend(message.map(|message| KeyValue::new("message", message)));
                Cow::Borrowed(EXCEPTION)
            }
            None => message.map_or_else(|| target.into_owned().into(), Cow::Owned),
        };
        (name, attributes)
    }

    fn attribute(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = Some(text),
            "log.target" => self.target = Some(text),
            name if names::is_origin_of_log_record(name) => {}
            // `error = %e`, as `#[tracing::instrument(err)]` writes it: an error of which only the text is known. Beside a
            // message it is a field like any other.
            "error" if self.message.is_none() => self.error = Some((None, text)),
            _ => self.attribute(field, text),
        }
    }
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, bounded(format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, bounded(format_args!("{value}")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.attribute(field, value),
            Err(_) => self.attribute(field, value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.error = Some((type_of(value), bounded(format_args!("{value}"))));
        self.attribute(field, Causes(value).to_string());
    }
}

/// The name of an error's type, or of its variant, as its derived `Debug` begins. Nothing after the name is formatted.
fn type_of(error: &dyn Error) -> Option<String> {
    const LONGEST_TYPE: usize = 64;

    struct FirstWord(String);

    impl Write for FirstWord {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            self.0.push_str(truncate(word, LONGEST_TYPE - self.0.len()));
            if word.len() < text.len() || self.0.len() == LONGEST_TYPE { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut word = FirstWord(String::new());
    // An error only says that the word has ended.
    let _ = caught(|| write!(word, "{error:?}"));
    word.0.starts_with(char::is_uppercase).then_some(word.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_an_error_is_the_first_word_of_its_debug_text() {
        #[derive(Debug, thiserror::Error)]
        #[error("no")]
        struct Refused {
            _why: &'static str,
        }
        assert_eq!(type_of(&Refused { _why: "x" }).as_deref(), Some("Refused"));
        assert_eq!(type_of(&fmt::Error).as_deref(), Some("Error"));
        let text: Box<dyn Error + Send + Sync> = "text".into();
        assert_eq!(type_of(&*text), None, "a text is no type");
    }
}
