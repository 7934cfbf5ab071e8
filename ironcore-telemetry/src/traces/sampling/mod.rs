//! Which traces are recorded.

#[cfg(feature = "jaeger-sampling")]
mod remote;
mod rule;
mod token_bucket;

use super::ids;
use crate::config::{Sampler, Sampling, Settings};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
#[cfg(feature = "jaeger-sampling")]
use remote::Remote;
use rule::Rule;
use std::collections::HashMap;
use std::sync::Arc;

/// Decides when a trace starts whether it is recorded: once for each span of this library, of users' own tracers and of
/// `tracing`. Its clones are one sampler: they share their limits.
#[derive(Debug, Clone)]
pub(crate) struct HeadSampler(Arc<Decider>);

#[derive(Debug)]
struct Decider {
    /// Whether the decision of a remote parent is kept. That of a local one always is.
    follows_parent: bool,
    by_name: ByName,
    /// What the back end says; until then, and without one, `root` decides.
    #[cfg(feature = "jaeger-sampling")]
    remote: Option<Arc<Remote>>,
    root: Rule,
}

impl HeadSampler {
    /// The sampler of these settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        let decider = Decider::by(settings.sampler, &settings.sampling_for);
        #[cfg(feature = "jaeger-sampling")]
        let decider = {
            let remote = settings.remote_sampling.as_ref();
            let remote = remote.map(|remote| Arc::new(Remote::new(remote, &settings.service.name)));
            Decider { remote, ..decider }
        };
        Self(Arc::new(decider))
    }

    /// A sampler without rules for places and without a back end.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn by(sampler: Sampler) -> Self {
        Self(Arc::new(Decider::by(sampler, &[])))
    }

    /// What asks the back end, if one decides.
    #[cfg(feature = "jaeger-sampling")]
    pub(crate) fn remote(&self) -> Option<Arc<Remote>> {
        self.0.remote.clone()
    }

    /// Whether a span of this name is recorded, below this parent or, if that is invalid, as the first of the trace.
    #[inline]
    pub(super) fn samples(&self, parent: &SpanContext, trace: TraceId, name: &str) -> bool {
        let decider = &*self.0;
        if parent.is_valid() && (decider.follows_parent || !parent.is_remote()) {
            return parent.is_sampled();
        }
        decider.decide(trace, name)
    }
}

impl Decider {
    /// Decides by these rules: for traces that start at a domain or a span of some name, and for all others.
    fn by(sampler: Sampler, sampling_for: &[(String, Sampling)]) -> Self {
        Self {
            follows_parent: sampler.follows_parent,
            by_name: ByName::new(sampling_for),
            #[cfg(feature = "jaeger-sampling")]
            remote: None,
            root: Rule::new(sampler.root),
        }
    }

    #[inline]
    fn decide(&self, trace: TraceId, name: &str) -> bool {
        if let Some(rule) = self.by_name.rule_for(name) {
            return rule.samples(trace);
        }
        #[cfg(feature = "jaeger-sampling")]
        if let Some(decided) = self.remote.as_ref().and_then(|remote| remote.samples(trace, name)) {
            return decided;
        }
        self.root.samples(trace)
    }
}

/// For the tracer of the SDK. Where this library starts the span, the decision is made already.
impl ShouldSample for HeadSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let samples = |parent: &SpanContext| ids::is_starting() || self.samples(parent, trace, name);
        let (is_sampled, trace_state) = match parent.map(TraceContextExt::span) {
            Some(span) => (samples(span.span_context()), span.span_context().trace_state().clone()),
            None => (samples(&SpanContext::NONE), TraceState::NONE),
        };
        let decision = if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}

/// Rules for traces by the name of their first span.
#[derive(Debug)]
struct ByName(HashMap<Box<str>, Rule>);

impl ByName {
    fn new(rules: &[(String, Sampling)]) -> Self {
        Self(rules.iter().map(|(name, sampling)| (name.as_str().into(), Rule::new(*sampling))).collect())
    }

    #[inline]
    fn rule_for(&self, name: &str) -> Option<&Rule> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(name).or_else(|| self.0.get(domain_of(name)?))
    }
}

/// The domain in the name of an operation, `{domain}.{operation}`. Names of requests and calls have a `/`.
fn domain_of(name: &str) -> Option<&str> {
    name.split_once('.').filter(|_| !name.contains('/')).map(|(domain, _)| domain)
}

#[cfg(test)]
mod tests;
