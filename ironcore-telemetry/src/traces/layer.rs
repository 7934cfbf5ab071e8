//! `tracing` spans of users and libraries as spans of the trace, nested with those that this library makes.

use crate::config::Filter;
use crate::error::InitError;
use crate::names;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, filter};

/// The crates that exporters are built on: their spans would be telemetry about telemetry.
const TRANSPORTS: &[&str] = &[
    "h2",
    "hyper",
    "hyper_util",
    "tonic",
    "tower",
    "opentelemetry",
    "reqwest",
    "rustls",
];

/// The layer. It takes spans only: events become log lines, with the ids of the current span.
///
/// # Errors
/// The filter's directives cannot be parsed.
pub(crate) fn layer<S>(
    filter: &Filter,
    provider: &SdkTracerProvider,
) -> Result<impl Layer<S> + use<S>, InitError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let directives = EnvFilter::builder()
        .parse(&filter.directives)
        .map_err(|error| filter.refused(&error))?;
    let not_transport =
        filter::filter_fn(|metadata| metadata.is_span() && !is_transport(metadata.target()));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(names::SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Ok(layer.with_filter(not_transport.and(directives)))
}

fn is_transport(target: &str) -> bool {
    let root = target.split([':', '-', '_']).next().unwrap_or(target);
    TRANSPORTS.contains(&root)
}

#[cfg(test)]
mod tests {
    use super::is_transport;

    #[test]
    fn transports_are_known_by_the_root_of_their_target() {
        for target in [
            "h2::codec::framed_write",
            "hyper_util::client",
            "tonic",
            "opentelemetry_sdk",
            "opentelemetry-otlp",
        ] {
            assert!(is_transport(target), "{target}");
        }
        for target in ["wallet_service::store", "h2o", "sqlx::query", "towering"] {
            assert!(!is_transport(target), "{target}");
        }
    }
}
