//! Headers that nobody sane sends: random, broken, huge and many. Whatever comes in, what goes out is valid and bounded,
//! and says the same to the next reader.
//!
//! Each set of headers is made from a number, which a failure prints: `HOSTILE_SET=<number>` makes that one again.

use super::trace_context::WRITE_LIMIT;
use super::{B3Propagator, BaggagePropagator, Headers, JaegerPropagator, TraceContextPropagator};
use allocation_counter::{AllocationInfo, measure};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};

const SETS: u64 = 100_000;
const KIB: usize = 1024;
/// What the recommendation lets a `baggage` have, and a `tracestate`.
const BAGGAGE: (usize, usize) = (8192, 64);
const TRACESTATE: (usize, usize) = (WRITE_LIMIT, 32);
/// Of memory at a time, beside what is kept for each line: a baggage at its largest, read, kept and written.
const HELD: u64 = 64 * 1024;
const HELD_FOR_A_LINE: u64 = 64;

const NAMES: [&str; 9] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
];

/// One header of each name that is valid, as callers send them.
const VALID: [&[&str]; 9] = [
    &[
        "00-12345678901234567890123456789012-1234567890123456-01",
        "cc-abcdef78901234567890123456789012-1234567890abcdef-03-more",
    ],
    &["foo=1,bar=2", "tenant@system=a b:c;d", "b@a@r=\"\"", ""],
    &["user=1;trusted;since=2,chain=%C3%BC", "a = 1 , b = 2 ; p ; q = 3"],
    &["80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90", "64fe8b2a57d3eff7-e457b5a2e4d86bd1", "0"],
    &["80f198ee56343ba864fe8b2a57d3eff7", "64fe8b2a57d3eff7"],
    &["e457b5a2e4d86bd1"],
    &["1", "0", "true", "false"],
    &["1", "0"],
    &["abc:12:0:1", "80f198ee56343ba864fe8b2a57d3eff7%3Ae457b5a2e4d86bd1%3A0%3A3"],
];

/// What these formats are made of, and what is close to it.
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

    fn of<'all, T>(&mut self, all: &'all [T]) -> &'all T {
        &all[self.below(all.len())]
    }

    /// Any byte that a header may have.
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

/// The set of headers of this number.
fn lines(number: u64) -> Vec<Line> {
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

/// Values for some of the names, some of them twice.
fn some(random: &mut Random, value: impl Fn(&mut Random, usize) -> Vec<u8>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, name) in NAMES.iter().enumerate() {
        // Without a parent nothing else of its format is read.
        let (often, valid) = if at == 0 { (9, 6) } else { (5, 3) };
        while random.below(10) < often {
            let value =
                if random.below(10) < valid { random.of(VALID[at]).as_bytes().to_owned() } else { value(random, at) };
            lines.push((*name, value));
            if random.below(6) != 0 {
                break;
            }
        }
    }
    lines
}

/// A valid value with up to four changes.
fn mutated(random: &mut Random, name: usize) -> Vec<u8> {
    let mut value = random.of(VALID[name]).as_bytes().to_owned();
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
                let piece = random.of(&PIECES).bytes();
                value.splice(at..at, piece);
            }
        }
    }
    // Of a changed case some are no header any more.
    value.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    value
}

fn pieces(random: &mut Random, _name: usize) -> Vec<u8> {
    let count = random.below(24);
    (0..count).flat_map(|_| random.of(&PIECES).bytes()).collect()
}

/// As much as servers commonly let through.
fn giant(random: &mut Random, name: usize) -> Vec<u8> {
    let of = match random.below(4) {
        0 => return random.bytes(64 * KIB),
        1 => random.of(&PIECES).as_bytes(),
        _ => random.of(VALID[name]).as_bytes(),
    };
    let of = if of.is_empty() { b"," } else { of };
    of.iter().copied().cycle().take(64 * KIB).collect()
}

fn many_members(random: &mut Random, most: usize) -> Vec<u8> {
    let (count, length) = (random.below(most), random.below(40));
    let members = (0..count).map(|n| format!("k{n}={:x<length$}", n % 7));
    members.collect::<Vec<_>>().join(",").into_bytes()
}

fn many_lines(random: &mut Random) -> Vec<Line> {
    let count = random.below(2_000);
    let mut lines = vec![(NAMES[0], VALID[0][0].as_bytes().to_owned())];
    for _ in 0..count {
        let name = 1 + random.below(NAMES.len() - 1);
        lines.push((NAMES[name], mutated(random, name)));
    }
    lines
}

fn map(lines: &[Line]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

/// Headers as a client sends them: a value that is none, or nothing, is a fault.
#[derive(Default, Debug, PartialEq)]
struct Out(HeaderMap);

impl Injector for Out {
    fn set(&mut self, key: &str, value: String) {
        assert!(!value.is_empty(), "{key} is empty");
        let key: HeaderName = key.parse().unwrap();
        let value = HeaderValue::from_str(&value).unwrap();
        assert_eq!(self.0.insert(key, value), None, "twice");
    }
}

impl Out {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Reads these headers, and writes what a call made under that context would send.
fn passed_on(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> (Context, Out) {
    let context = propagator.extract_with_context(&Context::new(), &Headers(headers));
    let mut out = Out::default();
    propagator.inject_context(&context, &mut out);
    (context, out)
}

/// All formats that can be asked for, and some together.
fn propagators() -> Vec<TextMapCompositePropagator> {
    type Some = Box<dyn TextMapPropagator + Send + Sync>;
    let of = |all: Vec<Some>| TextMapCompositePropagator::new(all);
    vec![
        of(vec![Box::new(TraceContextPropagator), Box::new(BaggagePropagator)]),
        of(vec![Box::new(B3Propagator::Single)]),
        of(vec![Box::new(B3Propagator::Multi)]),
        of(vec![Box::new(JaegerPropagator)]),
        of(vec![
            Box::new(TraceContextPropagator),
            Box::new(BaggagePropagator),
            Box::new(B3Propagator::Single),
            Box::new(B3Propagator::Multi),
            Box::new(JaegerPropagator),
        ]),
    ]
}

/// Says on the way out of a panic which set it was.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("make this set of headers again with HOSTILE_SET={}", self.0);
        }
    }
}

#[test]
fn whatever_comes_in_what_goes_out_is_valid_and_bounded() {
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
        let _named = Named(number);
        let lines = lines(number);
        let headers = map(&lines);
        // The W3C formats, one of the others in turn, and all together.
        let other = usize::try_from(1 + number % 3).unwrap();
        for format in [0, other, 4] {
            let propagator = &propagators[format];
            let mut result = None;
            let cost = measure(|| result = Some(passed_on(propagator, &headers)));
            let (context, out) = result.unwrap();
            is_bounded(&cost, lines.len());
            is_valid(&context, &out);
            let (_, again) = passed_on(propagator, &out.0);
            assert_eq!(out, again, "the next reader understands something else");
            of_a_child(propagator, &context, &out);
            if format == 0 {
                assert_eq!(out.get("traceparent").is_some(), says_a_parent(&lines), "{out:?}");
                continued += u64::from(out.get("traceparent").is_some());
                with_state += u64::from(out.get("tracestate").is_some());
                with_baggage += u64::from(out.get("baggage").is_some());
            }
        }
    }
    // The sets are not only noise.
    if sets.end - sets.start == SETS {
        let counts = [continued, with_state, with_baggage];
        assert!(counts.iter().all(|count| *count > SETS / 20), "{counts:?}");
    }
}

fn is_bounded(cost: &AllocationInfo, lines: usize) {
    let lines = u64::try_from(lines).unwrap();
    let bound = HELD + HELD_FOR_A_LINE * lines;
    assert!(cost.bytes_max <= bound, "{cost:?} for {lines} lines");
}

/// Only what its format allows, and no more than that.
fn is_valid(context: &Context, out: &Out) {
    let span = context.span().span_context().clone();
    let (trace, id) = (span.trace_id().to_string(), span.span_id().to_string());
    let sampled = u8::from(span.is_sampled());
    assert_eq!(span.trace_flags().to_u8(), sampled, "of an unknown flag");
    for name in out.0.keys() {
        let value = out.get(name.as_str()).unwrap();
        match name.as_str() {
            "traceparent" => {
                let flags = value.strip_prefix(&format!("00-{trace}-{id}-0")).unwrap();
                assert!([sampled, sampled | 2].map(|flags| flags.to_string()).contains(&flags.into()));
            }
            "tracestate" => {
                is_within(value, TRACESTATE);
                assert!(out.get("traceparent").is_some());
            }
            "baggage" => is_within(value, BAGGAGE),
            "b3" => assert_eq!(value, format!("{trace}-{id}-{sampled}")),
            "x-b3-traceid" => assert_eq!(value, trace),
            "x-b3-spanid" => assert_eq!(value, id),
            "x-b3-sampled" => assert_eq!(value, sampled.to_string()),
            "uber-trace-id" => assert_eq!(value, format!("{trace}:{id}:0:{sampled}")),
            other => panic!("{other} is nobody's"),
        }
        assert!(span.is_valid() || name == "baggage", "{out:?}");
    }
    assert_eq!(out.get("baggage").is_some(), !context.baggage().is_empty());
}

fn is_within(value: &str, (bytes, members): (usize, usize)) {
    assert!(value.len() <= bytes, "{} bytes", value.len());
    assert!(value.split(',').count() <= members, "{value}");
    assert!(value.split(',').all(|member| member.contains('=')), "{value}");
}

/// A span of ours hands on all but the caller's own id.
fn of_a_child(propagator: &dyn TextMapPropagator, context: &Context, out: &Out) {
    let caller = context.span().span_context().clone();
    let span = SpanId::from(u64::MAX);
    if !caller.is_valid() || caller.span_id() == span {
        return;
    }
    let own = SpanContext::new(caller.trace_id(), span, caller.trace_flags(), false, caller.trace_state().clone());
    let mut of_child = Out::default();
    propagator.inject_context(&context.with_remote_span_context(own), &mut of_child);
    let (came, ours) = (caller.span_id().to_string(), span.to_string());
    for (name, value) in &of_child.0 {
        let value = value.to_str().unwrap();
        let expected = out.get(name.as_str()).unwrap();
        match name.as_str() {
            "tracestate" | "baggage" => assert_eq!(value, expected),
            // The ids of one trace and span can be the same digits.
            _ => {
                assert!(value == expected || value.contains(&ours) && expected.contains(&came), "{value} of {expected}")
            }
        }
    }
    assert_eq!(of_child.0.len(), out.0.len());
}

/// The recommendation's words on a `traceparent`, part by part where the propagator goes byte by byte.
fn says_a_parent(lines: &[Line]) -> bool {
    let mut parents = lines.iter().filter(|(name, _)| *name == NAMES[0]);
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

/// What reading and writing this costs all formats together.
fn cost(lines: &[Line]) -> AllocationInfo {
    let headers = map(lines);
    let all = propagators().pop().unwrap();
    // The first use fills what is made once.
    passed_on(&all, &headers);
    measure(|| drop(passed_on(&all, &headers)))
}

#[test]
fn eight_times_the_bytes_cost_no_more_memory() {
    let parent = (NAMES[0], VALID[0][0].as_bytes().to_owned());
    for (at, name) in NAMES.into_iter().enumerate() {
        let of = |unit: &[u8], length: usize| {
            let value = unit.iter().copied().cycle().take(length).collect();
            let mut lines = vec![(name, value)];
            lines.extend((at > 0).then(|| parent.clone()));
            cost(&lines)
        };
        let pieces = PIECES.iter().chain(VALID[at]).map(|unit| unit.as_bytes());
        for unit in pieces.filter(|unit| !unit.is_empty()) {
            let (small, large) = (of(unit, 8 * KIB), of(unit, 64 * KIB));
            assert!(
                large.count_total <= small.count_total && large.bytes_total <= small.bytes_total,
                "{name} of {:?}: {large:?} after {small:?}",
                String::from_utf8_lossy(unit)
            );
        }
    }
}

#[test]
fn eight_times_the_lines_cost_eight_pointers_for_one() {
    for (at, name) in NAMES.into_iter().enumerate() {
        let of = |count: usize| {
            let value = VALID[at][0].as_bytes();
            let mut lines = vec![(name, value.to_owned()); count];
            lines.extend((at > 0).then(|| (NAMES[0], VALID[0][0].as_bytes().to_owned())));
            cost(&lines)
        };
        // Both are beyond all limits of the formats.
        let (small, large) = (of(1_000), of(8_000));
        assert!(
            large.bytes_total <= 9 * small.bytes_total
                && large.count_total <= small.count_total + 3 * NAMES.len() as u64,
            "{name}: {large:?} after {small:?}"
        );
    }
}
