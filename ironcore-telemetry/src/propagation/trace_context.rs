//! `traceparent` and `tracestate`, strictly as level 2 of the W3C recommendation defines them
//! (<https://www.w3.org/TR/trace-context-2/>).
//!
//! An invalid `traceparent` starts a new trace, and an invalid `tracestate` is left out: a lenient reader would pass on
//! what the next strict one refuses. The SDK's own propagator accepts short ids, signs and several headers, loses the
//! random flag, and emits an empty `tracestate`.

use super::parse::{lower_hex, trim_ows};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const HEADERS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Length of a version 00 `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
const TRACEPARENT_LENGTH: usize = 55;
const SAMPLED: u8 = 0x01;
/// The last seven bytes of the trace id are random (level 2).
const RANDOM: u8 = 0x02;

/// Members of a `tracestate`.
const MAX_MEMBERS: usize = 32;
/// Bytes of a key, and of a value.
const MAX_MEMBER_PART: usize = 256;
/// Bytes that we parse: all that valid members can have. A longer `tracestate` is refused unparsed.
const READ_LIMIT: usize = MAX_MEMBERS * (2 * MAX_MEMBER_PART + 2);
/// Bytes that we pass on. The recommendation asks for at least 512.
pub(super) const WRITE_LIMIT: usize = 1024;
/// Members longer than this are the first to be left out of a `tracestate` that is too long.
const LONG_MEMBER: usize = 128;

/// The parts of a received trace context that a [`SpanContext`] cannot hold. They name their trace, so that they are
/// never applied to another one.
#[derive(Debug, Clone)]
pub(super) struct W3cExtras {
    trace_id: TraceId,
    random: bool,
    /// A valid `tracestate` of at most [`WRITE_LIMIT`] bytes; only if the SDK's type cannot hold it.
    state: Option<Arc<str>>,
}

impl W3cExtras {
    /// For a trace that came in another format, which does not tell whether its id is random.
    pub(super) const fn none(trace_id: TraceId) -> Self {
        Self { trace_id, random: false, state: None }
    }
}

/// The propagator of `OTEL_PROPAGATORS=tracecontext`.
#[derive(Debug)]
pub(crate) struct TraceContextPropagator;

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let Some(parent) = traceparent(context) else {
            return;
        };
        injector.set(TRACEPARENT, parent);
        // Members that a sampler has added are the latest, so they come first. They are validated here: the SDK lets
        // line ends pass.
        let own = context.span().span_context().trace_state().header();
        let received = extras(context).and_then(|extras| extras.state.as_deref());
        let state = merge_trace_state(&[&own, received.unwrap_or_default()]);
        if let Some(state) = state.filter(|state| !state.is_empty()) {
            injector.set(TRACESTATE, state);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some(parents) = extractor.get_all(TRACEPARENT) else {
            return context.clone();
        };
        let [parent] = parents.as_slice() else {
            return context.clone();
        };
        let Some(parent) = TraceParent::parse(parent) else {
            return context.clone();
        };
        let state = extractor.get_all(TRACESTATE).and_then(|lines| merge_trace_state(&lines)).unwrap_or_default();
        // The SDK's type knows the keys of level 1 only. A state that it would change is kept beside it.
        let held = TraceState::from_str(&state).ok().filter(|held| held.header() == state);
        let extras = W3cExtras {
            trace_id: parent.trace,
            random: parent.flags & RANDOM != 0,
            state: held.is_none().then(|| state.into()),
        };
        let span = SpanContext::new(
            parent.trace,
            parent.span,
            TraceFlags::new(parent.flags & SAMPLED),
            true,
            held.unwrap_or_default(),
        );
        context.with_remote_span_context(span).with_value(extras)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 2]> = LazyLock::new(|| HEADERS.map(ToOwned::to_owned));
        FieldIter::new(FIELDS.as_slice())
    }
}

/// What was received beside the span context, if it was for the trace of this context.
fn extras(context: &Context) -> Option<&W3cExtras> {
    let trace_id = context.span().span_context().trace_id();
    context.get::<W3cExtras>().filter(|extras| extras.trace_id == trace_id)
}

/// The span of a context as a `traceparent`; `None` if the context has no span.
pub(super) fn traceparent(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    // A trace that began here has a random id from our generator.
    let random = extras(context).is_none_or(|extras| extras.random);
    let flags = if span.is_sampled() { SAMPLED } else { 0 } | if random { RANDOM } else { 0 };
    Some(format!("00-{:032x}-{:016x}-{flags:02x}", span.trace_id(), span.span_id()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: u8,
}

impl TraceParent {
    fn parse(text: &str) -> Option<Self> {
        let bytes = trim_ows(text).as_bytes();
        let (head, rest) = bytes.split_at_checked(TRACEPARENT_LENGTH)?;
        let version = lower_hex(head.get(0..2)?)?;
        // Later versions may append fields after a dash, version 00 may not, and ff is not a version.
        let is_known = match rest.first() {
            None => version != 0xff,
            Some(next) => *next == b'-' && (1..0xff).contains(&version),
        };
        if !is_known {
            return None;
        }
        let dash = |at: usize| (head.get(at) == Some(&b'-')).then_some(());
        dash(2)?;
        dash(35)?;
        dash(52)?;
        let trace = lower_hex(head.get(3..35)?)?;
        let span = lower_hex(head.get(36..52)?)?;
        let flags = lower_hex(head.get(53..55)?)?;
        if trace == 0 || span == 0 {
            return None;
        }
        Some(Self {
            trace: TraceId::from(trace),
            span: SpanId::from(u64::try_from(span).ok()?),
            flags: u8::try_from(flags).ok()?,
        })
    }
}

/// The members of all lines as one `tracestate`, or `None` if one of them is invalid: a list that is damaged is not
/// trusted in part.
fn merge_trace_state(lines: &[&str]) -> Option<String> {
    if lines.iter().map(|line| line.len()).sum::<usize>() > READ_LIMIT {
        return None;
    }
    let mut members = Vec::new();
    for member in lines.iter().flat_map(|line| line.split(',')).map(trim_ows) {
        if member.is_empty() {
            continue;
        }
        if members.len() == MAX_MEMBERS || !is_member(member) {
            return None;
        }
        members.push(member);
    }
    Some(within_write_limit(members).join(","))
}

/// Leaves out whole members until the rest fits: first the long ones, then the oldest. The oldest members are the last.
fn within_write_limit(mut members: Vec<&str>) -> Vec<&str> {
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1);
    while length(&members) > WRITE_LIMIT {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        match long {
            Some(at) => drop(members.remove(at)),
            None => drop(members.pop()),
        }
    }
    members
}

fn is_member(member: &str) -> bool {
    member.split_once('=').is_some_and(|(key, value)| is_key(key.as_bytes()) && is_value(value.as_bytes()))
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_other = |byte: &u8| is_first(byte) || b"_-*/@".contains(byte);
    key.len() <= MAX_MEMBER_PART && key.first().is_some_and(is_first) && key.iter().all(is_other)
}

fn is_value(value: &[u8]) -> bool {
    let is_char = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b",=".contains(byte);
    // A blank at the end, which is not allowed, is already trimmed with the white space around the member.
    !value.is_empty() && value.len() <= MAX_MEMBER_PART && value.iter().all(is_char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

    fn owned((name, value): (&str, &str)) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_trace_that_starts_here_is_flagged_as_random() {
        let own =
            SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::SAMPLED, false, TraceState::default());
        // On top of a caller's context of another trace, whose state and flag must not be applied to ours.
        let callers = TraceContextPropagator.extract_with_context(
            &Context::new(),
            &HashMap::from([(TRACEPARENT, PARENT), (TRACESTATE, "foo=1")].map(owned)),
        );
        let mut out = HashMap::new();
        TraceContextPropagator.inject_context(&callers.with_remote_span_context(own), &mut out);
        assert_eq!(out[TRACEPARENT], format!("00-{:032x}-{:016x}-03", 7, 7));
        assert_eq!(out.get(TRACESTATE), None);
    }
}
