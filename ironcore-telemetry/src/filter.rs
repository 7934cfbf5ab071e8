//! The filters of the layers: directives in the syntax of `RUST_LOG`, and the context spans, which pass every filter.

use crate::config::Filter;
use crate::error::InitError;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// The target of the `tracing` spans that carry an operation or a request (`traces/context_span.rs`).
pub(crate) const CONTEXT_TARGET: &str = "ironcore_telemetry::context";

/// A filter by directives.
///
/// # Errors
/// The directives cannot be parsed.
pub(crate) fn directives(filter: &Filter) -> Result<EnvFilter, InitError> {
    EnvFilter::builder().parse(&filter.directives).map_err(|error| filter.refused(&error))
}

/// Lets context spans pass, and nothing else.
pub(crate) fn context_spans() -> FilterFn {
    // Of this level, so that the hint disables no more than the filter does.
    filter_fn(is_context_span as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::ERROR)
}

/// Whether a `tracing` span is a context span.
pub(crate) fn is_context_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == CONTEXT_TARGET
}
