//! `tracing` spans of users and libraries as OpenTelemetry spans, nested with those of this library.

use super::tracing_span::TracingTracer;
use crate::config::Filter;
use crate::error::InitError;
use crate::filter as filters;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

/// The layer. It handles spans only; [`SpanEvents`](super::span_events::SpanEvents) puts warnings and errors on them.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S>(filter: &Filter, provider: &SdkTracerProvider) -> Result<impl Layer<S> + use<S>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_opentelemetry::layer()
        .with_tracer(TracingTracer(super::tracer(provider)))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    // Events are disabled per callsite, so that one that becomes no log line costs nothing. The hint is that of the
    // directives.
    let spans = filter_fn(is_span as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::TRACE);
    let layer = layer.and_then(MarkTraced);
    Ok(layer.with_filter(filters::context_spans().or(spans.and(filters::directives(filter)?))))
}

/// The mark of the spans that are spans of the trace.
pub(super) struct Traced;

struct MarkTraced;

impl<S> Layer<S> for MarkTraced
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Traced);
        }
    }
}

/// The method has another lifetime than a filter asks for.
fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
}
