//! `traceparent` and `tracestate`, level 2 of the W3C recommendation (<https://www.w3.org/TR/trace-context-2/>), strictly.
//!
//! What is not exactly as the recommendation says starts a new trace, or is left out: a lenient reader would hand on what
//! the next strict one refuses. The SDK's own propagator takes short ids, signs and several headers, loses the random
//! flag, and emits an empty `tracestate`.

use super::{hex, trimmed};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Length of a version 00 `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
const LENGTH: usize = 55;
const SAMPLED: u8 = 0x01;
/// The trace id is random in its last seven bytes (level 2).
const RANDOM: u8 = 0x02;

/// Members that a `tracestate` may have.
const MEMBERS: usize = 32;
/// Bytes of one key, and of one value.
const MEMBER_PART: usize = 256;
/// Bytes that we read: all members at their largest. More is refused before it is looked at.
const READ_LIMIT: usize = MEMBERS * (2 * MEMBER_PART + 2);
/// Bytes that we hand on. The recommendation asks for 512 at least.
pub(super) const WRITE_LIMIT: usize = 1024;
/// Members longer than this go first when there are too many bytes.
const LONG_MEMBER: usize = 128;

/// What came with the caller's context and has no place in a [`SpanContext`]: bound to its trace, so that it is never
/// said of another one.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    trace: TraceId,
    random: bool,
    /// Valid, of at most [`WRITE_LIMIT`] bytes; only where the SDK cannot hold it.
    state: Option<Arc<str>>,
}

impl Carried {
    /// For a trace that came in another format: nobody has said that its id is random.
    pub(super) const fn without_word(trace: TraceId) -> Self {
        Self { trace, random: false, state: None }
    }
}

/// The propagator of `OTEL_PROPAGATORS=tracecontext`.
#[derive(Debug)]
pub(crate) struct TraceContextPropagator;

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let Some(parent) = parent_of(context) else {
            return;
        };
        injector.set(TRACEPARENT, parent);
        // What a sampler has added is the latest, and nobody has looked at it: the SDK lets line ends pass.
        let own = context.span().span_context().trace_state().header();
        let came = carried(context).and_then(|carried| carried.state.as_deref());
        let state = trace_state(&[&own, came.unwrap_or_default()]);
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
        let state = extractor.get_all(TRACESTATE).and_then(|lines| trace_state(&lines)).unwrap_or_default();
        // The SDK knows the keys of level 1 only; what it does not hand on as it came is carried beside it.
        let held = TraceState::from_str(&state).ok().filter(|held| held.header() == state);
        let carried = Carried {
            trace: parent.trace,
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
        context.with_remote_span_context(span).with_value(carried)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 2]> = LazyLock::new(|| [TRACEPARENT.to_owned(), TRACESTATE.to_owned()]);
        FieldIter::new(FIELDS.as_slice())
    }
}

/// What came with the caller's context, if its trace is the one that this context is in.
fn carried(context: &Context) -> Option<&Carried> {
    let trace = context.span().span_context().trace_id();
    context.get::<Carried>().filter(|carried| carried.trace == trace)
}

/// The span of a context as a `traceparent`; `None` if it has none.
pub(super) fn parent_of(context: &Context) -> Option<String> {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return None;
    }
    // A trace that began here has an id of our generator, which is random.
    let random = carried(context).is_none_or(|carried| carried.random);
    let flags = if span.is_sampled() { SAMPLED } else { 0 } | if random { RANDOM } else { 0 };
    Some(format!("00-{:032x}-{:016x}-{flags:02x}", span.trace_id(), span.span_id()))
}

/// The parts of a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: u8,
}

impl TraceParent {
    fn parse(text: &str) -> Option<Self> {
        let bytes = trimmed(text).as_bytes();
        let (head, rest) = bytes.split_at_checked(LENGTH)?;
        let version = hex(head.get(0..2)?)?;
        // A later version may say more, after a dash; 00 may not, and ff is none.
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
        let trace = hex(head.get(3..35)?)?;
        let span = hex(head.get(36..52)?)?;
        let flags = hex(head.get(53..55)?)?;
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

/// The members of all lines as one, or `None` if one of them is not valid: then nobody can say what the others mean.
fn trace_state(lines: &[&str]) -> Option<String> {
    if lines.iter().map(|line| line.len()).sum::<usize>() > READ_LIMIT {
        return None;
    }
    let mut members = Vec::new();
    for member in lines.iter().flat_map(|line| line.split(',')).map(trimmed) {
        if member.is_empty() {
            continue;
        }
        if members.len() == MEMBERS || !is_member(member) {
            return None;
        }
        members.push(member);
    }
    Some(shortened(members).join(","))
}

/// Leaves out whole members until the rest may be handed on: first the long ones, then the oldest, which stand last.
fn shortened(mut members: Vec<&str>) -> Vec<&str> {
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
    key.len() <= MEMBER_PART && key.first().is_some_and(is_first) && key.iter().all(is_other)
}

fn is_value(value: &[u8]) -> bool {
    let is_char = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b",=".contains(byte);
    // A blank at its end was trimmed as the white space around a member.
    !value.is_empty() && value.len() <= MEMBER_PART && value.iter().all(is_char)
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
    fn a_trace_of_our_own_says_that_its_id_is_random() {
        let own =
            SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::SAMPLED, false, TraceState::default());
        // Over a caller's context of another trace, whose state and flag are not ours.
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
