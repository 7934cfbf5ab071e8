//! Spans: sampler, queue and provider, and the layer that turns `tracing` spans into spans of the trace.

mod layer;
mod queue;
mod verdict;

pub(crate) use layer::layer;
pub(crate) use queue::SpanQueue;

use crate::config::{Sampler, Sampling};
use crate::names;
use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SdkTracerProvider, SpanLimits};
use std::sync::Arc;

/// Bounds of what one span may hold.
const LIMITS: SpanLimits = SpanLimits {
    max_events_per_span: 64,
    max_attributes_per_span: 64,
    max_links_per_span: 32,
    max_attributes_per_event: 32,
    max_attributes_per_link: 32,
};

/// The provider whose spans end in the queue.
pub(crate) fn provider(
    sampler: Sampler,
    resource: Resource,
    queue: &Arc<SpanQueue>,
) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(sdk_sampler(sampler))
        .with_resource(resource)
        .with_span_limits(LIMITS)
        .with_span_processor(queue::Processor::new(Arc::clone(queue)))
        .build()
}

/// Makes spans by the SDK's own tracer: no lock, no second box.
pub(crate) fn start_span(
    provider: &SdkTracerProvider,
) -> impl Fn(SpanBuilder, &Context) -> Context + Send + Sync + use<> {
    let tracer = provider.tracer(names::SCOPE);
    move |builder, parent| parent.with_span(tracer.build_with_context(builder, parent))
}

pub(crate) fn sdk_sampler(
    Sampler {
        root,
        follows_parent,
    }: Sampler,
) -> SdkSampler {
    let root = match root {
        Sampling::Always => SdkSampler::AlwaysOn,
        Sampling::Never => SdkSampler::AlwaysOff,
        Sampling::Ratio(share) => SdkSampler::TraceIdRatioBased(share),
    };
    if follows_parent {
        SdkSampler::ParentBased(Box::new(root))
    } else {
        root
    }
}
