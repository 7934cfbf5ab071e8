use super::{Decider, HeadSampler};
use crate::config::{Sampler, Sampling};
use crate::traces;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// So low that the one token of its bucket is all that a test gets.
const ONE: Sampling = Sampling::PerSecond(1e-6);

const PARENT_BASED: bool = true;

fn sampler(root: Sampling, follows_parent: bool) -> HeadSampler {
    HeadSampler::by(Sampler { root, follows_parent })
}

fn by_name(root: Sampling, rules: &[(&str, Sampling)]) -> HeadSampler {
    let rules: Vec<_> = rules.iter().map(|(name, sampling)| ((*name).to_owned(), *sampling)).collect();
    HeadSampler(Arc::new(Decider::by(Sampler { root, follows_parent: PARENT_BASED }, &rules)))
}

fn ids(flags: TraceFlags, is_remote: bool) -> SpanContext {
    SpanContext::new(TraceId::from(1), SpanId::from(2), flags, is_remote, TraceState::NONE)
}

fn root(sampler: &HeadSampler, name: &str) -> bool {
    sampler.samples(&SpanContext::NONE, TraceId::from(rand::random::<u128>()), name)
}

/// The names of the spans that ended.
#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl SpanProcessor for Names {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span.name.into_owned());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn provider(sampler: &HeadSampler) -> (SdkTracerProvider, Names) {
    let names = Names::default();
    (traces::provider_with(sampler.clone(), Resource::builder_empty().build(), names.clone()), names)
}

#[test]
fn a_rate_is_asked_once_for_each_trace_whoever_starts_it() {
    let sampler = sampler(ONE, PARENT_BASED);
    let (provider, names) = provider(&sampler);
    let start = traces::start_span(&provider, sampler);
    // The one token is for the first; a second question would have refused it.
    let first = start(&Context::new(), "ours", &mut || SpanBuilder::from_name("ours"));
    let below = provider.tracer("user").start_with_context("below", &first);
    drop(below);
    drop(first);
    assert_eq!(names.take(), ["below", "ours"]);
    drop(start(&Context::new(), "ours", &mut || panic!("is not described")));
    drop(provider.tracer("user").start_with_context("theirs", &Context::new()));
    assert!(names.take().is_empty());
}

#[test]
fn a_users_own_tracer_spends_of_the_same_rate() {
    let sampler = sampler(ONE, PARENT_BASED);
    let (provider, names) = provider(&sampler);
    drop(provider.tracer("user").start_with_context("theirs", &Context::new()));
    assert_eq!(names.take(), ["theirs"]);
    let start = traces::start_span(&provider, sampler);
    let unsampled = start(&Context::new(), "ours", &mut || panic!("is not described"));
    assert!(unsampled.span().span_context().is_valid() && !unsampled.span().span_context().is_sampled());
}

#[test]
fn the_decision_of_a_valid_parent_is_kept() {
    for root_rule in [Sampling::Always, Sampling::Never, Sampling::Ratio(0.5), ONE] {
        for is_remote in [true, false] {
            let sampler = sampler(root_rule, PARENT_BASED);
            for _ in 0..3 {
                let trace = TraceId::from(1);
                assert!(sampler.samples(&ids(TraceFlags::SAMPLED, is_remote), trace, "any"), "{root_rule:?}");
                assert!(!sampler.samples(&ids(TraceFlags::NOT_SAMPLED, is_remote), trace, "any"), "{root_rule:?}");
            }
        }
    }
}

#[test]
fn a_sampler_that_follows_no_parent_decides_where_a_trace_enters_the_process() {
    let never = sampler(Sampling::Never, false);
    let always = sampler(Sampling::Always, false);
    let trace = TraceId::from(1);
    assert!(!never.samples(&ids(TraceFlags::SAMPLED, true), trace, "any"));
    assert!(always.samples(&ids(TraceFlags::NOT_SAMPLED, true), trace, "any"));
    // Within the process a trace is recorded as a whole.
    assert!(never.samples(&ids(TraceFlags::SAMPLED, false), trace, "any"));
    assert!(!always.samples(&ids(TraceFlags::NOT_SAMPLED, false), trace, "any"));
}

#[test]
fn an_invalid_parent_is_none() {
    let (provider, names) = provider(&sampler(Sampling::Always, PARENT_BASED));
    let invalid = Context::new().with_remote_span_context(SpanContext::NONE);
    drop(provider.tracer("user").start_with_context("root", &invalid));
    assert_eq!(names.take(), ["root"]);
}

#[test]
fn the_state_of_the_trace_is_passed_on() {
    let sampler = sampler(Sampling::Always, PARENT_BASED);
    let (provider, _) = provider(&sampler);
    let state = TraceState::from_key_value([("vendor", "7")]).unwrap();
    for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED] {
        let parent = SpanContext::new(TraceId::from(1), SpanId::from(2), flags, true, state.clone());
        let parent = Context::new().with_remote_span_context(parent);
        let theirs = parent.with_span(provider.tracer("user").start_with_context("theirs", &parent));
        let ours =
            traces::start_span(&provider, sampler.clone())(&parent, "ours", &mut || SpanBuilder::from_name("ours"));
        for span in [theirs.span(), ours.span()] {
            assert_eq!(span.span_context().trace_state().header(), "vendor=7");
            assert_eq!(span.span_context().is_sampled(), flags.is_sampled());
            assert_eq!(span.span_context().trace_id(), TraceId::from(1));
        }
    }
}

#[test]
fn a_domain_and_a_span_have_rules_of_their_own() {
    let rules = [
        ("swap", Sampling::Always),
        ("swap.quote", Sampling::Never),
        ("GET /health", Sampling::Never),
        ("payment", ONE),
    ];
    let sampler = by_name(Sampling::Never, &rules);
    for (name, expected) in [
        ("swap.execute", true),
        ("swap.quote", false),
        ("swap.quote_all", true),
        ("wallet.create", false),
        ("swap", true),
        // The service of a gRPC call is no domain.
        ("swap.v1.Swaps/Execute", false),
        ("", false),
    ] {
        assert_eq!(root(&sampler, name), expected, "{name:?}");
    }
    let sampler = by_name(Sampling::Always, &rules);
    assert!(!root(&sampler, "GET /health") && root(&sampler, "GET /health/live"));
    // The limit of a domain holds for its operations together.
    let payments = ["payment.send", "payment.refund", "payment.send"].map(|name| root(&sampler, name));
    assert_eq!(payments, [true, false, false]);
}

#[test]
fn the_first_span_of_a_trace_decides_and_not_one_below_it() {
    let sampler = by_name(Sampling::Never, &[("swap", Sampling::Always)]);
    let (provider, names) = provider(&sampler);
    let start = traces::start_span(&provider, sampler);
    let request = start(&Context::new(), "GET /swaps", &mut || panic!("is not described"));
    drop(start(&request, "swap.execute", &mut || panic!("is not described")));
    let job = start(&Context::new(), "swap.execute", &mut || SpanBuilder::from_name("swap.execute"));
    drop(start(&job, "wallet.debit", &mut || SpanBuilder::from_name("wallet.debit")));
    drop(job);
    assert_eq!(names.take(), ["wallet.debit", "swap.execute"]);
}

#[test]
fn a_span_of_ours_after_the_shutdown_leaves_its_ids_to_no_other() {
    let sampler = sampler(Sampling::Always, PARENT_BASED);
    let (provider, _) = provider(&sampler);
    provider.shutdown().unwrap();
    let start = traces::start_span(&provider, sampler);
    drop(start(&Context::new(), "ours", &mut || SpanBuilder::from_name("ours")));
    assert!(!traces::ids::is_starting());
}
