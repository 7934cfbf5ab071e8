//! Spans: sampler, queue and provider; the subscriber and the layers that bring `tracing` spans and OpenTelemetry spans
//! together.

mod context_span;
mod encode;
mod entered;
mod ids;
mod last_values;
mod layer;
mod processor;
mod sampling;
mod span_events;
mod stack;
mod subscriber;
mod tracing_span;

use crate::config::SpanLimits;
use crate::export::Queue;
use crate::names;
use ids::PresetIds;
#[cfg(feature = "testing")]
pub(crate) use last_values::last_values;
pub(crate) use layer::layer;
use opentelemetry::trace::{SpanBuilder, SpanContext, TraceContextExt, TraceFlags, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    SdkTracer, SdkTracerProvider, SpanData, SpanLimits as SdkSpanLimits, TracerProviderBuilder,
};
use processor::Processor;
pub(crate) use sampling::HeadSampler;
pub(crate) use span_events::span_events;
pub(crate) use stack::{BoxedLayer, Stack};
use std::sync::Arc;
pub(crate) use subscriber::TelemetrySubscriber;

/// The provider whose ended spans go into the queue.
pub(crate) fn provider(
    sampler: HeadSampler,
    limits: SpanLimits,
    resource: Resource,
    queue: &Arc<Queue<SpanData>>,
) -> SdkTracerProvider {
    let processor = Processor::new(Arc::clone(queue));
    builder(sampler, limits).with_resource(resource).with_span_processor(processor).build()
}

/// A provider whose ended spans go to any processor.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn provider_with(
    sampler: HeadSampler,
    resource: Resource,
    processor: impl opentelemetry_sdk::trace::SpanProcessor + 'static,
) -> SdkTracerProvider {
    builder(sampler, SpanLimits::default()).with_resource(resource).with_span_processor(processor).build()
}

/// The provider of a process that exports no spans. Its spans, of `tracing` and of other instrumentation, have ids, and
/// hold nothing that an exporter would need.
pub(crate) fn provider_without_exporter(sampler: HeadSampler) -> SdkTracerProvider {
    let nothing = SpanLimits { attributes: 0, events: 0, links: 0, attributes_per_event: 0, attributes_per_link: 0 };
    builder(sampler, nothing).with_resource(Resource::builder_empty().build()).build()
}

fn builder(sampler: HeadSampler, limits: SpanLimits) -> TracerProviderBuilder {
    SdkTracerProvider::builder().with_sampler(sampler).with_id_generator(PresetIds).with_span_limits(SdkSpanLimits {
        max_events_per_span: limits.events,
        max_attributes_per_span: limits.attributes,
        max_links_per_span: limits.links,
        max_attributes_per_event: limits.attributes_per_event,
        max_attributes_per_link: limits.attributes_per_link,
    })
}

/// Starts spans with the SDK's tracer, without the lock and the boxing of the global one. The sampler decides before
/// the span is described, so a span that is not sampled costs only its ids.
pub(crate) fn start_span(
    provider: &SdkTracerProvider,
    sampler: HeadSampler,
) -> impl Fn(&Context, &str, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync + use<> {
    start(Some(tracer(provider)), sampler)
}

/// Makes the ids of spans that nobody receives: for log lines, and for the context that is passed on. The sampler still
/// decides what the flag of the context says, as the services that are called may export.
pub(crate) fn start_ids(
    sampler: HeadSampler,
) -> impl Fn(&Context, &str, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync + use<> {
    start(None, sampler)
}

fn start(
    tracer: Option<SdkTracer>,
    sampler: HeadSampler,
) -> impl Fn(&Context, &str, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync + use<> {
    move |parent, name, describe| {
        if parent.is_telemetry_suppressed() {
            return parent.with_remote_span_context(SpanContext::NONE);
        }
        let span = parent.span();
        let parent_ids = span.span_context();
        let trace = if parent_ids.is_valid() { parent_ids.trace_id() } else { ids::random_trace() };
        let is_sampled = sampler.samples(parent_ids, trace, name);
        let (true, Some(tracer)) = (is_sampled, &tracer) else {
            let flags = if is_sampled { parent_ids.trace_flags().with_sampled(true) } else { TraceFlags::default() };
            let state = parent_ids.trace_state().clone();
            return parent.with_remote_span_context(SpanContext::new(trace, ids::random_span(), flags, false, state));
        };
        // Before the SDK starts: the description may run code that starts other spans.
        let builder = describe();
        parent.with_span(ids::starting(trace, || tracer.build_with_context(builder, parent)))
    }
}

/// The tracer of this library.
fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder(names::SCOPE).with_schema_url(names::SCHEMA_URL);
    provider.tracer_with_scope(scope.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sampler, Sampling};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{Span, SpanProcessor};
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
        let sampler = HeadSampler::by(Sampler { root: Sampling::Ratio(0.5), follows_parent: true });
        let provider = provider_with(sampler.clone(), Resource::builder_empty().build(), Discard);
        let start = start_span(&provider, sampler);
        let outside = Context::new();
        let mut described = 0;
        for _ in 0..200 {
            let mut is_described = false;
            let span = start(&outside, "outer", &mut || {
                is_described = true;
                start(&outside, "inner", &mut || SpanBuilder::from_name("inner"));
                SpanBuilder::from_name("outer")
            });
            assert_eq!(span.span().span_context().is_sampled(), is_described);
            described += u32::from(is_described);
        }
        assert!((50..150).contains(&described), "{described} of 200");
    }
}
