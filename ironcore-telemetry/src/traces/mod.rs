//! Spans: sampler, queue and provider, and the layer that turns `tracing` spans into OpenTelemetry spans.

mod delivery;
mod ids;
mod layer;
mod queue;

use crate::config::{Sampler, Sampling};
use crate::names;
use ids::PresetIds;
pub(crate) use layer::layer;
use opentelemetry::trace::{SpanBuilder, SpanContext, SpanKind, TraceContextExt, TraceFlags, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    IdGenerator, Sampler as SdkSampler, SamplingDecision, SdkTracer, SdkTracerProvider, ShouldSample, SpanLimits,
    SpanProcessor,
};
pub(crate) use queue::SpanQueue;
use std::sync::Arc;

/// Limits on the contents of one span.
const LIMITS: SpanLimits = SpanLimits {
    max_events_per_span: 64,
    max_attributes_per_span: 64,
    max_links_per_span: 32,
    max_attributes_per_event: 32,
    max_attributes_per_link: 32,
};

/// The provider whose ended spans go into the queue.
pub(crate) fn provider(sampler: Sampler, resource: Resource, queue: &Arc<SpanQueue>) -> SdkTracerProvider {
    provider_with(sampler, resource, queue::Processor::new(Arc::clone(queue)))
}

/// A provider whose ended spans go to any processor.
pub(crate) fn provider_with(
    sampler: Sampler,
    resource: Resource,
    processor: impl SpanProcessor + 'static,
) -> SdkTracerProvider {
    SdkTracerProvider::builder()
        .with_sampler(sdk_sampler(sampler))
        .with_id_generator(PresetIds)
        .with_resource(resource)
        .with_span_limits(LIMITS)
        .with_span_processor(processor)
        .build()
}

/// Starts spans with the SDK's tracer, without the lock and the boxing of the global one. The sampler decides before
/// the span is described, so a span that is not sampled costs only its ids. The SDK repeats the decision for the same
/// trace id, with the same result.
pub(crate) fn start_span(
    provider: &SdkTracerProvider,
    sampler: Sampler,
) -> impl Fn(&Context, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync + use<> {
    let tracer = tracer(provider);
    let sdk_sampler = sdk_sampler(sampler);
    move |parent, describe| {
        if parent.is_telemetry_suppressed() {
            return parent.with_remote_span_context(SpanContext::NONE);
        }
        let span = parent.span();
        let parent_ids = span.span_context();
        let has_parent = parent_ids.is_valid();
        let trace_id = if has_parent { parent_ids.trace_id() } else { PresetIds.new_trace_id() };
        let is_sampled = if has_parent && sampler.follows_parent {
            parent_ids.is_sampled()
        } else {
            // Our samplers use only the parent and the trace id.
            let sampling = sdk_sampler.should_sample(Some(parent), trace_id, "", &SpanKind::Internal, &[], &[]);
            sampling.decision == SamplingDecision::RecordAndSample
        };
        if !is_sampled {
            let ids = SpanContext::new(
                trace_id,
                PresetIds.new_span_id(),
                TraceFlags::default(),
                false,
                parent_ids.trace_state().clone(),
            );
            return parent.with_remote_span_context(ids);
        }
        // Before the trace id is preset: the description may run code that starts other spans.
        let builder = describe();
        if !has_parent {
            ids::preset_trace_id(trace_id);
        }
        parent.with_span(tracer.build_with_context(builder, parent))
    }
}

/// The tracer of this library.
fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder(names::SCOPE).with_schema_url(names::SCHEMA_URL);
    provider.tracer_with_scope(scope.build())
}

fn sdk_sampler(Sampler { root, follows_parent }: Sampler) -> SdkSampler {
    let root = match root {
        Sampling::Always => SdkSampler::AlwaysOn,
        Sampling::Never => SdkSampler::AlwaysOff,
        Sampling::Ratio(share) => SdkSampler::TraceIdRatioBased(share),
    };
    if follows_parent { SdkSampler::ParentBased(Box::new(root)) } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{Span, SpanData};
    use std::time::Duration;

    #[derive(Debug)]
    struct Discard;

    impl SpanProcessor for Discard {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, _: SpanData) {}

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn a_described_span_is_sampled_even_if_its_description_starts_other_spans() {
        let sampler = Sampler { root: Sampling::Ratio(0.5), follows_parent: true };
        let provider = provider_with(sampler, Resource::builder_empty().build(), Discard);
        let start = start_span(&provider, sampler);
        let outside = Context::new();
        let mut described = 0;
        for _ in 0..200 {
            let mut is_described = false;
            let span = start(&outside, &mut || {
                is_described = true;
                start(&outside, &mut || SpanBuilder::from_name("inner"));
                SpanBuilder::from_name("outer")
            });
            assert_eq!(span.span().span_context().is_sampled(), is_described);
            described += u32::from(is_described);
        }
        assert!((50..150).contains(&described), "{described} of 200");
    }
}
