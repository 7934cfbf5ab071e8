//! Hostile headers: random, malformed, huge and many. Whatever is extracted, the headers that are injected are valid
//! and bounded, and the next reader extracts the same from them.
//!
//! Each set of headers is generated from a number, which a failure prints: `HOSTILE_SET=<number>` runs that one again.

use crate::propagation::b3::{self, B3Propagator};
use crate::propagation::baggage::{BAGGAGE, BaggagePropagator};
use crate::propagation::headers::HeaderExtractor;
use crate::propagation::jaeger::{JaegerPropagator, UBER_TRACE_ID};
use crate::propagation::trace_context::{TRACEPARENT, TRACESTATE, TraceContextPropagator, WRITE_LIMIT};
use allocation_counter::{AllocationInfo, measure};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};

const SETS: u64 = 100_000;
const KIB: usize = 1024;
/// Bytes and members of the headers whose length is not fixed.
const BAGGAGE_LIMITS: (usize, usize) = (8192, 64);
const TRACESTATE_LIMITS: (usize, usize) = (WRITE_LIMIT, 32);
/// Memory in use at a time: the largest baggage parsed, stored and serialized, and a little for each line.
const MAX_MEMORY: u64 = 64 * 1024;
const MAX_MEMORY_PER_LINE: u64 = 64;

/// Each header that is read, with valid values for it.
const VALID: [(&str, &[&str]); 9] = [
    (
        TRACEPARENT,
        &[
            "00-12345678901234567890123456789012-1234567890123456-01",
            "cc-abcdef78901234567890123456789012-1234567890abcdef-03-more",
        ],
    ),
    (TRACESTATE, &["foo=1,bar=2", "tenant@system=a b:c;d", "b@a@r=\"\"", ""]),
    (BAGGAGE, &["user=1;trusted;since=2,chain=%C3%BC", "a = 1 , b = 2 ; p ; q = 3"]),
    (
        b3::SINGLE,
        &[
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1",
            "0",
        ],
    ),
    (b3::TRACE_ID, &["80f198ee56343ba864fe8b2a57d3eff7", "64fe8b2a57d3eff7"]),
    (b3::SPAN_ID, &["e457b5a2e4d86bd1"]),
    (b3::SAMPLED, &["1", "0", "true", "false"]),
    (b3::FLAGS, &["1", "0"]),
    (UBER_TRACE_ID, &["abc:12:0:1", "80f198ee56343ba864fe8b2a57d3eff7%3Ae457b5a2e4d86bd1%3A0%3A3"]),
];

/// A valid parent, without which no other header of its format is read.
fn valid_parent() -> Line {
    let (name, values) = VALID[0];
    (name, values[0].as_bytes().to_owned())
}

/// Fragments of the formats, and text that is almost one.
const PIECES: [&str; 32] = [
    "00",
    "01",
    "ff",
    "cc",
    "-",
    "--",
    ":",
    "%3A",
    "%3a",
    "%",
    "%2C",
    "%0D%0A",
    "%ff",
    "=",
    "==",
    ",",
    ",,",
    ";",
    "; p=1",
    " ",
    "\t",
    "@",
    "+",
    "\"",
    "a",
    "A",
    "foo=1",
    "1234567890123456",
    "d",
    "key",
    "0000000000000000",
    "true",
];

type Line = (&'static str, Vec<u8>);

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn pick<'all, T>(&mut self, all: &'all [T]) -> &'all T {
        &all[self.below(all.len())]
    }

    /// Any byte that is allowed in a header's value.
    fn byte(&mut self) -> u8 {
        loop {
            let [byte, ..] = self.next().to_le_bytes();
            if byte == b'\t' || byte >= b' ' && byte != 0x7f {
                return byte;
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}

/// The set of headers with this number.
fn generated(number: u64) -> Vec<Line> {
    let random = &mut Random(number);
    match random.below(1000) {
        0..250 => some(random, |random, _| {
            let length = random.below(100);
            random.bytes(length)
        }),
        250..750 => some(random, mutated),
        750..990 => some(random, pieces),
        990..992 => some(random, giant),
        992..998 => some(random, |random, _| many_members(random, 2_000)),
        _ => many_lines(random),
    }
}

/// Lines for some of the headers, for some of them more than one.
fn some(random: &mut Random, value: impl Fn(&mut Random, usize) -> Vec<u8>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, (name, valid_values)) in VALID.iter().enumerate() {
        // Without a parent no other header of its format is read.
        let (often, valid) = if at == 0 { (9, 6) } else { (5, 3) };
        while random.below(10) < often {
            let value = if random.below(10) < valid {
                random.pick(valid_values).as_bytes().to_owned()
            } else {
                value(random, at)
            };
            lines.push((*name, value));
            if random.below(6) != 0 {
                break;
            }
        }
    }
    lines
}

/// A valid value with up to four changes.
fn mutated(random: &mut Random, header: usize) -> Vec<u8> {
    let mut value = random.pick(VALID[header].1).as_bytes().to_owned();
    for _ in 0..random.below(5) {
        let at = random.below(value.len() + 1);
        match random.below(7) {
            0 => value.insert(at, random.byte()),
            1 => value.truncate(at),
            2 if at < value.len() => drop(value.remove(at)),
            3 if at < value.len() => value[at] = random.byte(),
            4 if at < value.len() => value[at] ^= 0x20,
            5 => value.extend_from_within(at..),
            _ => {
                let piece = random.pick(&PIECES).bytes();
                value.splice(at..at, piece);
            }
        }
    }
    // A changed bit can make a byte that is not allowed in a header.
    value.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    value
}

fn pieces(random: &mut Random, _header: usize) -> Vec<u8> {
    let count = random.below(24);
    (0..count).flat_map(|_| random.pick(&PIECES).bytes()).collect()
}

/// A value as long as servers commonly accept.
fn giant(random: &mut Random, header: usize) -> Vec<u8> {
    let unit = match random.below(4) {
        0 => return random.bytes(64 * KIB),
        1 => random.pick(&PIECES).as_bytes(),
        _ => random.pick(VALID[header].1).as_bytes(),
    };
    let unit = if unit.is_empty() { b"," } else { unit };
    unit.iter().copied().cycle().take(64 * KIB).collect()
}

fn many_members(random: &mut Random, limit: usize) -> Vec<u8> {
    let (count, length) = (random.below(limit), random.below(40));
    let members = (0..count).map(|n| format!("k{n}={:x<length$}", n % 7));
    members.collect::<Vec<_>>().join(",").into_bytes()
}

fn many_lines(random: &mut Random) -> Vec<Line> {
    let count = random.below(2_000);
    let mut lines = vec![valid_parent()];
    for _ in 0..count {
        let header = 1 + random.below(VALID.len() - 1);
        lines.push((VALID[header].0, mutated(random, header)));
    }
    lines
}

fn header_map(lines: &[Line]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// Injected headers. A name that is injected twice, an empty or an invalid value fails the test.
#[derive(Default, Debug, PartialEq)]
struct Injected(HeaderMap);

impl Injector for Injected {
    fn set(&mut self, key: &str, value: String) {
        assert!(!value.is_empty(), "{key} is empty");
        let key: HeaderName = key.parse().unwrap();
        let value = HeaderValue::from_str(&value).unwrap();
        assert_eq!(self.0.insert(key, value), None, "injected twice");
    }
}

impl Injected {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.to_str().unwrap())
    }
}

/// The context of these headers, and the headers of a call that is made under it.
fn round_trip(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> (Context, Injected) {
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let mut out = Injected::default();
    propagator.inject_context(&context, &mut out);
    (context, out)
}

/// Each format alone, then all of them together.
fn propagators() -> Vec<TextMapCompositePropagator> {
    let composite = |all: Vec<Box<dyn TextMapPropagator + Send + Sync>>| TextMapCompositePropagator::new(all);
    vec![
        composite(vec![Box::new(TraceContextPropagator), Box::new(BaggagePropagator)]),
        composite(vec![Box::new(B3Propagator::Single)]),
        composite(vec![Box::new(B3Propagator::Multi)]),
        composite(vec![Box::new(JaegerPropagator)]),
        composite(vec![
            Box::new(TraceContextPropagator),
            Box::new(BaggagePropagator),
            Box::new(B3Propagator::Single),
            Box::new(B3Propagator::Multi),
            Box::new(JaegerPropagator),
        ]),
    ]
}

/// Prints, if the test panics, how to run this set again.
struct PrintOnPanic(u64);

impl Drop for PrintOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run this set of headers again with HOSTILE_SET={}", self.0);
        }
    }
}

#[test]
fn injected_headers_are_valid_and_bounded_whatever_was_extracted() {
    let propagators = propagators();
    let sets = match std::env::var("HOSTILE_SET") {
        Ok(number) => {
            let number = number.parse().unwrap();
            number..number + 1
        }
        Err(_) => 0..SETS,
    };
    let (mut continued, mut with_state, mut with_baggage) = (0_u64, 0_u64, 0_u64);
    for number in sets.clone() {
        let _print = PrintOnPanic(number);
        let lines = generated(number);
        let headers = header_map(&lines);
        // The W3C formats, one of the others in turn, and all of them together.
        let other = usize::try_from(1 + number % 3).unwrap();
        for format in [0, other, 4] {
            let propagator = &propagators[format];
            let mut result = None;
            let cost = measure(|| result = Some(round_trip(propagator, &headers)));
            let (context, out) = result.unwrap();
            assert_bounded(&cost, lines.len());
            assert_valid(&context, &out);
            let (_, again) = round_trip(propagator, &out.0);
            assert_eq!(out, again, "the next reader extracts something else");
            assert_child_injects_the_same(propagator, &context, &out);
            if format == 0 {
                assert_eq!(out.get(TRACEPARENT).is_some(), has_valid_parent(&lines), "{out:?}");
                continued += u64::from(out.get(TRACEPARENT).is_some());
                with_state += u64::from(out.get(TRACESTATE).is_some());
                with_baggage += u64::from(out.get(BAGGAGE).is_some());
            }
        }
    }
    // Enough of the sets are valid.
    if sets.end - sets.start == SETS {
        let counts = [continued, with_state, with_baggage];
        assert!(counts.iter().all(|count| *count > SETS / 20), "{counts:?}");
    }
}

fn assert_bounded(cost: &AllocationInfo, lines: usize) {
    let lines = u64::try_from(lines).unwrap();
    let bound = MAX_MEMORY + MAX_MEMORY_PER_LINE * lines;
    assert!(cost.bytes_max <= bound, "{cost:?} for {lines} lines");
}

/// Each header has the form and the length that its format allows.
fn assert_valid(context: &Context, out: &Injected) {
    let span = context.span().span_context().clone();
    let (trace, id) = (span.trace_id().to_string(), span.span_id().to_string());
    let sampled = u8::from(span.is_sampled());
    assert_eq!(span.trace_flags().to_u8(), sampled, "an unknown flag");
    for name in out.0.keys() {
        let value = out.get(name.as_str()).unwrap();
        match name.as_str() {
            TRACEPARENT => {
                let flags = value.strip_prefix(&format!("00-{trace}-{id}-0")).unwrap();
                assert!([sampled, sampled | 2].map(|flags| flags.to_string()).contains(&flags.into()));
            }
            TRACESTATE => {
                assert_within(value, TRACESTATE_LIMITS);
                assert!(out.get(TRACEPARENT).is_some());
            }
            BAGGAGE => assert_within(value, BAGGAGE_LIMITS),
            b3::SINGLE => assert_eq!(value, format!("{trace}-{id}-{sampled}")),
            b3::TRACE_ID => assert_eq!(value, trace),
            b3::SPAN_ID => assert_eq!(value, id),
            b3::SAMPLED => assert_eq!(value, sampled.to_string()),
            UBER_TRACE_ID => assert_eq!(value, format!("{trace}:{id}:0:{sampled}")),
            other => panic!("{other} is not a header of these formats"),
        }
        assert!(span.is_valid() || name == BAGGAGE, "{out:?}");
    }
    assert_eq!(out.get(BAGGAGE).is_some(), !context.baggage().is_empty());
}

fn assert_within(value: &str, (bytes, members): (usize, usize)) {
    assert!(value.len() <= bytes, "{} bytes", value.len());
    assert!(value.split(',').count() <= members, "{value}");
    assert!(value.split(',').all(|member| member.contains('=')), "{value}");
}

/// Under a span of ours, the injected headers are the caller's but for the id of the span.
fn assert_child_injects_the_same(propagator: &dyn TextMapPropagator, context: &Context, out: &Injected) {
    let caller = context.span().span_context().clone();
    let span = SpanId::from(u64::MAX);
    if !caller.is_valid() || caller.span_id() == span {
        return;
    }
    let own = SpanContext::new(caller.trace_id(), span, caller.trace_flags(), false, caller.trace_state().clone());
    let mut childs = Injected::default();
    propagator.inject_context(&context.with_remote_span_context(own), &mut childs);
    let (callers_id, our_id) = (caller.span_id().to_string(), span.to_string());
    for (name, value) in &childs.0 {
        let value = value.to_str().unwrap();
        let expected = out.get(name.as_str()).unwrap();
        match name.as_str() {
            TRACESTATE | BAGGAGE => assert_eq!(value, expected),
            // Trace and span ids can have digits in common, so the id is not simply replaced in the text.
            _ => assert!(
                value == expected || value.contains(&our_id) && expected.contains(&callers_id),
                "{value} of {expected}"
            ),
        }
    }
    assert_eq!(childs.0.len(), out.0.len());
}

/// Whether there is one valid `traceparent`: a second implementation, which splits it at its dashes.
fn has_valid_parent(lines: &[Line]) -> bool {
    let mut parents = lines.iter().filter(|(name, _)| *name == TRACEPARENT);
    let (Some((_, value)), None) = (parents.next(), parents.next()) else {
        return false;
    };
    let is_text = |byte: &u8| *byte == b'\t' || (b' '..=b'~').contains(byte);
    let value = String::from_utf8_lossy(value);
    let parts: Vec<_> = value.trim_matches([' ', '\t']).splitn(5, '-').collect();
    let [version, trace, span, flags, later @ ..] = parts.as_slice() else {
        return false;
    };
    let ids = [(*version, 2), (*trace, 32), (*span, 16), (*flags, 2)];
    let is_hex = |(part, length): (&str, usize)| {
        part.len() == length && part.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
    };
    value.bytes().all(|byte| is_text(&byte))
        && ids.into_iter().all(is_hex)
        && *version != "ff"
        && (later.is_empty() || *version != "00")
        && [trace, span].iter().all(|id| id.bytes().any(|b| b != b'0'))
}

/// The cost of extracting and injecting these lines with all formats together.
fn cost(lines: &[Line]) -> AllocationInfo {
    let headers = header_map(lines);
    let all = propagators().pop().unwrap();
    // The first use initialises statics.
    round_trip(&all, &headers);
    measure(|| drop(round_trip(&all, &headers)))
}

#[test]
fn a_value_eight_times_as_long_allocates_no_more_memory() {
    for (name, valid_values) in VALID {
        let cost_of = |unit: &[u8], length: usize| {
            let value = unit.iter().copied().cycle().take(length).collect();
            let mut lines = vec![(name, value)];
            lines.extend((name != TRACEPARENT).then(valid_parent));
            cost(&lines)
        };
        let pieces = PIECES.iter().chain(valid_values).map(|unit| unit.as_bytes());
        for unit in pieces.filter(|unit| !unit.is_empty()) {
            let (small, large) = (cost_of(unit, 8 * KIB), cost_of(unit, 64 * KIB));
            assert!(
                large.count_total <= small.count_total && large.bytes_total <= small.bytes_total,
                "{name} of {:?}: {large:?} after {small:?}",
                String::from_utf8_lossy(unit)
            );
        }
    }
}

#[test]
fn eight_times_the_lines_allocate_only_eight_times_the_pointers() {
    for (name, valid_values) in VALID {
        let cost_of = |count: usize| {
            let value = valid_values[0].as_bytes();
            let mut lines = vec![(name, value.to_owned()); count];
            lines.extend((name != TRACEPARENT).then(valid_parent));
            cost(&lines)
        };
        // Both are beyond the limits of all formats.
        let (small, large) = (cost_of(1_000), cost_of(8_000));
        assert!(
            large.bytes_total <= 9 * small.bytes_total
                && large.count_total <= small.count_total + 3 * VALID.len() as u64,
            "{name}: {large:?} after {small:?}"
        );
    }
}
