//! `tracing` spans of users and libraries as spans of the trace, nested with those that this library makes.

use crate::config::Filter;
use crate::error::InitError;
use crate::names;
use crate::worker;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, filter};

/// The layer. It takes spans only: events become log lines, with the ids of the current span. What the exporters'
/// transports do on the telemetry thread is left out.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S>(filter: &Filter, provider: &SdkTracerProvider) -> Result<impl Layer<S> + use<S>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let directives = EnvFilter::builder().parse(&filter.directives).map_err(|error| filter.refused(&error))?;
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(names::SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    // Asked for each span, not once for each place in the code: the transports' spans are told by their thread.
    // An event is refused for good, so that one that no log line is made of costs nothing.
    let wanted = filter::dynamic_filter_fn(|metadata, _| metadata.is_span() && !worker::is_own_thread())
        .with_callsite_filter(|metadata| if metadata.is_span() { Interest::sometimes() } else { Interest::never() });
    Ok(layer.with_filter(wanted.and(directives)))
}
