//! Extracted and injected headers of W3C trace context: the cases of the W3C conformance suite (level 2, strict) under
//! the suite's names, written from the recommendation, then cases that the suite lacks.
#![expect(clippy::too_many_lines, reason = "a table is as long as what it lists")]

use crate::propagation::headers::HeaderExtractor;
use crate::propagation::trace_context::WRITE_LIMIT;
use crate::propagation::{B3Propagator, BaggagePropagator, JaegerPropagator, TraceContextPropagator};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use std::collections::{BTreeSet, HashMap};
use std::panic;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";
/// The same span, not sampled.
const UNSAMPLED: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// A request to a service, and what is expected of the calls that the service makes while it handles it.
struct Request {
    lines: Vec<(String, Vec<u8>)>,
    /// The flags under which the caller's trace is continued; `None` if the service starts a new trace.
    continued: Option<&'static str>,
    state: Option<String>,
    /// The number of calls that the service makes.
    calls: usize,
}

/// A request with these header lines, expected to start a new trace.
fn lines<Name: AsRef<str>, Value: AsRef<[u8]>>(lines: &[(Name, Value)]) -> Request {
    let owned = |(name, value): &(Name, Value)| (name.as_ref().to_owned(), value.as_ref().to_owned());
    Request { lines: lines.iter().map(owned).collect(), continued: None, state: None, calls: 1 }
}

fn nothing() -> Request {
    lines::<&str, &str>(&[])
}

fn parent(value: impl AsRef<[u8]>) -> Request {
    lines(&[("traceparent", value)])
}

/// A request with an unsampled parent and these lines of `tracestate`.
fn states<Line: AsRef<[u8]>>(values: &[Line]) -> Request {
    let mut request = parent(UNSAMPLED).continues("00");
    request.lines.extend(values.iter().map(|line| ("tracestate".to_owned(), line.as_ref().to_owned())));
    request
}

impl Request {
    fn continues(mut self, flags: &'static str) -> Self {
        self.continued = Some(flags);
        self
    }

    /// Exactly this `tracestate` is injected. Without this expectation, none may be.
    fn passes_on(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    /// Handles the request under a span of the service, and makes each call under a span of its own.
    fn check(&self) {
        let headers = self.headers();
        let caller = TraceContextPropagator.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
        let server = child(&caller);
        let mut parents = BTreeSet::new();
        for _ in 0..self.calls {
            let out = injected(&TraceContextPropagator, &child(&server));
            let parts: Vec<_> = out["traceparent"].split('-').collect();
            let [version, trace, span, flags] = parts.as_slice() else {
                panic!("four parts: {out:?}");
            };
            let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
            assert_eq!((*version, lengths), ("00", vec![2, 32, 16, 2]), "{out:?}");
            assert!(parts.iter().all(|part| part.bytes().all(|b| b"0123456789abcdef".contains(&b))), "{out:?}");
            assert!(*trace != "0".repeat(32) && *span != "0".repeat(16));
            match self.continued {
                Some(expected) => assert_eq!((*trace, *flags), (TRACE, expected), "{out:?}"),
                // A trace of our own is sampled, and its id is random.
                None => assert!(*flags == "03" && !self.contains(trace), "{out:?}"),
            }
            assert!(!self.contains(span), "the caller's span is the parent: {out:?}");
            assert!(parents.insert((*span).to_owned()), "two calls with one parent: {out:?}");
            assert_eq!(out.get("tracestate"), self.state.as_ref());
        }
    }

    fn contains(&self, id: &str) -> bool {
        self.lines.iter().any(|(_, value)| String::from_utf8_lossy(value).contains(id))
    }
}

/// The injected headers, all of them valid and none empty.
fn injected(propagator: &dyn TextMapPropagator, context: &Context) -> HashMap<String, String> {
    let mut out = HashMap::new();
    propagator.inject_context(context, &mut out);
    for value in out.values() {
        assert!(!value.is_empty() && HeaderValue::from_str(value).is_ok(), "{out:?}");
    }
    out
}

/// A span of this process, as the SDK starts it: with its parent's trace, sampling decision and state, or a new trace.
fn child(context: &Context) -> Context {
    let parent = context.span().span_context().clone();
    let (trace, flags, state) = if parent.is_valid() {
        let state = parent.trace_state().clone();
        (parent.trace_id(), parent.trace_flags(), state)
    } else {
        let trace = TraceId::from(rand::random::<u128>());
        (trace, TraceFlags::SAMPLED, TraceState::default())
    };
    let span = SpanId::from(rand::random::<u64>());
    context.with_remote_span_context(SpanContext::new(trace, span, flags, false, state))
}

type Case = (&'static str, Vec<Request>);

/// Checks all cases, then fails with a list of those that do not hold.
fn check(cases: &[Case]) {
    let mut failed = Vec::new();
    for (name, requests) in cases {
        for (number, request) in requests.iter().enumerate() {
            if panic::catch_unwind(|| request.check()).is_err() {
                failed.push(format!("{name}, request {number}"));
            }
        }
    }
    assert!(failed.is_empty(), "do not hold: {failed:#?}");
}

#[test]
fn every_case_of_the_w3c_suite_holds() {
    let cases: Vec<_> = [parents(), members(), calls()].into_iter().flatten().collect();
    let names: BTreeSet<_> = cases.iter().map(|(name, _)| name).collect();
    assert_eq!((names.len(), cases.len()), (41, 41));
    check(&cases);
}

#[test]
fn every_case_that_the_w3c_suite_lacks_holds() {
    check(&beyond());
}

/// `traceparent`.
fn parents() -> Vec<Case> {
    let rest = "-12345678901234567890123456789012-1234567890123456-01";
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    let of_trace = |trace: &str| parent(format!("00-{trace}-{SPAN}-01"));
    let of_span = |span: &str| parent(format!("00-{TRACE}-{span}-01"));
    let of_flags = |flags: &str| parent(format!("00-{TRACE}-{SPAN}-{flags}"));
    let version = |version: &str| parent(format!("{version}{rest}"));
    let continued = |name: &str| lines(&[(name, PARENT)]).continues("01");
    vec![
        ("test_both_traceparent_and_tracestate_missing", vec![nothing()]),
        ("test_traceparent_included_tracestate_missing", vec![parent(PARENT).continues("01")]),
        (
            "test_traceparent_duplicated",
            vec![
                lines(&[("traceparent", other), ("traceparent", PARENT)]),
                lines(&[("traceparent", PARENT), ("traceparent", PARENT)]),
            ],
        ),
        ("test_traceparent_header_name", vec![lines(&[("trace-parent", PARENT)]), lines(&[("trace.parent", PARENT)])]),
        (
            "test_traceparent_header_name_valid_casing",
            vec![continued("TraceParent"), continued("TrAcEpArEnT"), continued("TRACEPARENT")],
        ),
        (
            "test_traceparent_version_0x00",
            vec![parent(format!("{PARENT}.")), parent(format!("{PARENT}-more-of-a-later-version"))],
        ),
        (
            "test_traceparent_version_0xcc",
            vec![
                version("cc").continues("01"),
                parent(format!("cc{rest}-more-of-a-later-version")).continues("01"),
                parent(format!("cc{rest}.more-of-a-later-version")),
            ],
        ),
        ("test_traceparent_version_0xff", vec![version("ff")]),
        ("test_traceparent_version_illegal_characters", vec![version(".0"), version("0.")]),
        ("test_traceparent_version_too_long", vec![version("000"), version("0000")]),
        ("test_traceparent_version_too_short", vec![version("0")]),
        ("test_traceparent_trace_id_all_zero", vec![of_trace(&"0".repeat(32))]),
        (
            "test_traceparent_trace_id_illegal_characters",
            vec![of_trace(&format!(".{}", &TRACE[1..])), of_trace(&format!("{}.", &TRACE[..31]))],
        ),
        ("test_traceparent_trace_id_too_long", vec![of_trace(&format!("{TRACE}3"))]),
        ("test_traceparent_trace_id_too_short", vec![of_trace(&TRACE[..31])]),
        ("test_traceparent_parent_id_all_zero", vec![of_span(&"0".repeat(16))]),
        (
            "test_traceparent_parent_id_illegal_characters",
            vec![of_span(&format!(".{}", &SPAN[1..])), of_span(&format!("{}.", &SPAN[..15]))],
        ),
        ("test_traceparent_parent_id_too_long", vec![of_span(&format!("{SPAN}7"))]),
        ("test_traceparent_parent_id_too_short", vec![of_span(&SPAN[..15])]),
        ("test_traceparent_trace_flags_illegal_characters", vec![of_flags(".0"), of_flags("0.")]),
        ("test_traceparent_trace_flags_too_long", vec![of_flags("001")]),
        ("test_traceparent_trace_flags_too_short", vec![of_flags("1")]),
        (
            "test_traceparent_ows_handling",
            [
                format!(" {PARENT}"),
                format!("\t{PARENT}"),
                format!("{PARENT} "),
                format!("{PARENT}\t"),
                format!("\t {PARENT} \t"),
            ]
            .map(|value| parent(value).continues("01"))
            .into(),
        ),
        ("test_propagates_random_flag", vec![of_flags("02").continues("02"), of_flags("03").continues("03")]),
    ]
}

/// `tracestate`. Level 2 allows `@` anywhere in a key but at its start, and limits the length of the key as a whole.
fn members() -> Vec<Case> {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (0x20..=0x7e_u8).filter(|byte| !b",=".contains(byte)).map(char::from).collect();
    let same = |state: &str| states(&[state]).passes_on(state);
    let named = |name: &str| lines(&[("traceparent", UNSAMPLED), (name, "foo=1")]).continues("00");
    let numbered = |range: std::ops::RangeInclusive<u8>| {
        let members: Vec<_> = range.map(|n| format!("bar{n:02}={n:02}")).collect();
        members.join(",")
    };
    let tens = |last: u8| states(&[numbered(1..=10), numbered(11..=20), numbered(21..=30), numbered(31..=last)]);
    let after_foo = |key: String| states(&["foo=1".to_owned(), format!("{key}=1")]);
    let kept_after_foo = |key: String| {
        let state = format!("foo=1,{key}=1");
        after_foo(key).passes_on(state)
    };
    vec![
        (
            "test_tracestate_included_traceparent_missing",
            vec![lines(&[("tracestate", "foo=1")]), lines(&[("tracestate", "foo=1,bar=2")])],
        ),
        ("test_tracestate_included_traceparent_included", vec![same("foo=1,bar=2")]),
        ("test_tracestate_header_name", vec![named("trace-state"), named("trace.state")]),
        (
            "test_tracestate_header_name_valid_casing",
            ["TraceState", "TrAcEsTaTe", "TRACESTATE"].map(|name| named(name).passes_on("foo=1")).into(),
        ),
        (
            "test_tracestate_empty_header",
            vec![states(&[""]), states(&["foo=1", ""]).passes_on("foo=1"), states(&["", "foo=1"]).passes_on("foo=1")],
        ),
        (
            "test_tracestate_multiple_headers_different_keys",
            vec![states(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]).passes_on("foo=1,bar=2,rojo=1,congo=2,baz=3")],
        ),
        (
            "test_tracestate_duplicated_keys",
            vec![
                same("foo=1,foo=1"),
                same("foo=1,foo=2"),
                states(&["foo=1", "foo=1"]).passes_on("foo=1,foo=1"),
                states(&["foo=1", "foo=2"]).passes_on("foo=1,foo=2"),
            ],
        ),
        (
            "test_tracestate_all_allowed_characters",
            vec![same(&format!("{key}={value}")), same(&format!("{key}@a-z0-9_-*/={value}"))],
        ),
        (
            "test_tracestate_ows_handling",
            vec![
                states(&["foo=1 \t , \t bar=2, \t baz=3"]).passes_on("foo=1,bar=2,baz=3"),
                states(&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"]).passes_on("foo=1,bar=2,baz=3"),
                states(&[" foo=1"]).passes_on("foo=1"),
                states(&["\tfoo=1"]).passes_on("foo=1"),
                states(&["foo=1 "]).passes_on("foo=1"),
                states(&["foo=1\t"]).passes_on("foo=1"),
                states(&["\t foo=1 \t"]).passes_on("foo=1"),
            ],
        ),
        (
            "test_tracestate_key_illegal_characters",
            vec![states(&["foo =1"]), states(&["FOO=1"]), states(&["foo.bar=1"])],
        ),
        (
            "test_tracestate_key_illegal_vendor_format",
            vec![
                states(&["@foo=1,bar=2"]),
                same("foo@=1,bar=2"),
                same("foo@@bar=1,bar=2"),
                same("foo@bar@baz=1,bar=2"),
            ],
        ),
        ("test_tracestate_member_count_limit", vec![tens(32).passes_on(numbered(1..=32)), tens(33)]),
        (
            "test_tracestate_key_length_limit",
            vec![
                kept_after_foo("z".repeat(256)),
                after_foo("z".repeat(257)),
                kept_after_foo(format!("{}@{}", "t".repeat(241), "v".repeat(14))),
                kept_after_foo(format!("{}@v", "t".repeat(242))),
                kept_after_foo(format!("t@{}", "v".repeat(15))),
            ],
        ),
        ("test_tracestate_value_illegal_characters", vec![states(&["foo=bar=baz"]), states(&["foo=,bar=3"])]),
    ]
}

/// Several calls for one request.
fn calls() -> Vec<Case> {
    vec![
        ("test_multiple_requests_with_valid_traceparent", vec![parent(PARENT).continues("01").calls(3)]),
        ("test_multiple_requests_without_traceparent", vec![nothing().calls(3)]),
        (
            "test_multiple_requests_with_illegal_traceparent",
            vec![parent(format!("00-{}-{SPAN}-01", "0".repeat(32))).calls(3)],
        ),
    ]
}

fn beyond() -> Vec<Case> {
    let of = |trace: &str, span: &str, flags: &str| parent(format!("00-{trace}-{span}-{flags}"));
    let same = |state: &str| states(&[state]).passes_on(state);
    let value = |length: usize| "v".repeat(length);
    let short: Vec<_> = (0..8).map(|n| format!("s{n}={}", value(100))).collect();
    let long = format!("l={}", value(250));
    let barely_long = format!("l={}", value(127));
    let not_long = format!("l={}", value(126));
    let many: Vec<_> = (0..12).map(|n| format!("s{n:x}={}", value(100))).collect();
    // Nine members of 103 bytes and the commas between them.
    let fit = many[..9].join(",");
    assert!(fit.len() <= WRITE_LIMIT && fit.len() + 104 > WRITE_LIMIT);
    vec![
        (
            "ids and flags of another length are refused",
            vec![
                parent("00-1-1-1"),
                parent(format!("00-{}-{SPAN}0-01", &TRACE[..31])),
                parent(format!("00-{TRACE}0-{}-01", &SPAN[..15])),
                parent(format!("00-{TRACE}-{SPAN}")),
                parent(format!("00-{TRACE}-{SPAN}-")),
                parent(""),
                parent("-".repeat(55)),
            ],
        ),
        (
            "a sign is not a digit",
            vec![
                of(&format!("+{}", &TRACE[1..]), SPAN, "01"),
                of(TRACE, &format!("+{}", &SPAN[1..]), "01"),
                of(TRACE, SPAN, "+1"),
                parent(format!("+0-{TRACE}-{SPAN}-01")),
            ],
        ),
        (
            "a capital letter is not a digit",
            vec![
                of(&format!("{}A", &TRACE[..31]), SPAN, "01"),
                of(TRACE, &format!("{}A", &SPAN[..15]), "01"),
                of(TRACE, SPAN, "0A"),
                parent(format!("CC-{TRACE}-{SPAN}-01")),
            ],
        ),
        (
            "only dashes separate",
            vec![
                parent(format!("00_{TRACE}-{SPAN}-01")),
                parent(format!("00-{TRACE}_{SPAN}-01")),
                parent(format!("00-{TRACE}-{SPAN}_01")),
                parent(format!("cc-{TRACE}-{SPAN}_01")),
            ],
        ),
        (
            "only a later version may end in a dash",
            vec![
                parent(format!("{PARENT}-")),
                parent(format!("01-{TRACE}-{SPAN}-01-")).continues("01"),
                parent(format!("fe-{TRACE}-{SPAN}-01-")).continues("01"),
            ],
        ),
        (
            "ids of a later version may not be zero either",
            vec![
                parent(format!("cc-{}-{SPAN}-01", "0".repeat(32))),
                parent(format!("cc-{TRACE}-{}-01", "0".repeat(16))),
            ],
        ),
        (
            "a value that is not ASCII is not ignored but refused",
            vec![
                parent(b"\xfc"),
                parent(format!("00-{TRACE}-{SPAN}-0\u{fc}")),
                parent([PARENT.as_bytes(), b"\xa0"].concat()),
                lines(&[("traceparent", PARENT.as_bytes()), ("traceparent", b"\xfc")]),
                states(&["foo=\u{fc}"]),
                states(&["foo=1,b\u{fc}=1"]),
                states(&[b"foo=1".as_slice(), b"b\xfc=1"]),
                states(&[b"foo=1".as_slice(), b"\xa0"]),
            ],
        ),
        (
            "two flags are passed on and the others dropped",
            [("04", "00"), ("05", "01"), ("fc", "00"), ("fe", "02"), ("ff", "03")]
                .into_iter()
                .flat_map(|(received, sent)| {
                    let later = parent(format!("cc-{TRACE}-{SPAN}-{received}"));
                    [of(TRACE, SPAN, received), later].map(|request| request.continues(sent))
                })
                .collect(),
        ),
        (
            "long headers are refused as a whole",
            vec![
                parent("0".repeat(100_000)),
                parent(format!("{PARENT}-{}", "0".repeat(600))),
                parent(format!("cc-{TRACE}-{SPAN}-01-{}", "0".repeat(600))).continues("01"),
                states(&[",".repeat(100_000)]),
                states(&[format!("foo=1{}", " ".repeat(100_000))]),
                states(&[member_of_length("foo", 514)]),
            ],
        ),
        (
            "a member has a key and a value that ends in a visible character",
            vec![
                states(&["foo"]),
                states(&["foo="]),
                states(&["foo= "]),
                states(&["=1"]),
                states(&["="]),
                states(&["foo=1,bar"]),
                states(&["_foo=1"]),
                states(&["-foo=1"]),
                states(&["foo=a\tb"]),
                states(&[format!("foo={}", value(257))]),
                same(&format!("foo={}", value(256))),
                same("0foo=1"),
                same("foo= 1"),
            ],
        ),
        (
            "empty members are skipped",
            vec![
                states(&[","]),
                states(&[" "]),
                states(&[" , ,\t"]),
                states(&["", ""]),
                states(&["foo=1,,bar=2,", "", "baz=3"]).passes_on("foo=1,bar=2,baz=3"),
            ],
        ),
        (
            "512 bytes are passed on whole",
            vec![
                same(&format!("a={},b={}", value(252), value(255))),
                same(&format!("{}={}", "k".repeat(255), value(256))),
                same(&short[..4].join(",")),
                states(&short[..4]).passes_on(short[..4].join(",")),
            ],
        ),
        (
            "whole members are left out of a state that is too long, first those of more than 128 bytes",
            vec![
                states(&[long.as_str(), &short.join(","), &long]).passes_on(short.join(",")),
                states(&[barely_long.as_str(), &many.join(",")]).passes_on(&fit),
                states(&[not_long.as_str(), &many.join(",")]).passes_on(format!("{not_long},{}", many[..8].join(","))),
            ],
        ),
        (
            "the left-most members stay, which are the latest",
            vec![
                states(&many).passes_on(&fit),
                states(&[format!("{long},{},{long}", short[..5].join(","))])
                    .passes_on(format!("{long},{}", short[..5].join(","))),
                states(&["foo=2", "foo=1"]).passes_on("foo=2,foo=1"),
            ],
        ),
    ]
}

/// A member of exactly `length` bytes.
fn member_of_length(key: &str, length: usize) -> String {
    format!("{key}={}", "v".repeat(length - key.len() - 1))
}

#[test]
fn line_ends_from_a_carrier_are_never_injected() {
    // The carrier of a message queue can hold values that are not valid in a header.
    for (parent, state) in [
        (format!("{PARENT}\r\n"), "foo=1".to_owned()),
        (PARENT.to_owned(), "foo=1\r\nx: y".to_owned()),
        (PARENT.to_owned(), "foo\r\n=1".to_owned()),
        (PARENT.to_owned(), "foo=1\0".to_owned()),
        (PARENT.to_owned(), "foo=1,\u{85}".to_owned()),
    ] {
        let carrier = HashMap::from([("traceparent".to_owned(), parent), ("tracestate".to_owned(), state)]);
        let context = TraceContextPropagator.extract_with_context(&Context::new(), &carrier);
        let out = injected(&TraceContextPropagator, &child(&context));
        assert_eq!(out.get("tracestate"), None, "{carrier:?}");
    }
    let carrier = HashMap::from([("baggage".to_owned(), "a=1\r\nx: y,b=2".to_owned())]);
    let context = BaggagePropagator.extract_with_context(&Context::new(), &carrier);
    assert_eq!(injected(&BaggagePropagator, &context)["baggage"], "b=2");
}

/// A sampler may write a state, of which the SDK only validates the keys, and the values for commas.
#[test]
fn line_ends_from_a_sampler_are_never_injected() {
    let written = |state: &[(&str, &str)]| {
        let state = TraceState::from_key_value(state.iter().copied()).unwrap();
        let (trace, span) = (TraceId::from(7), SpanId::from(7));
        let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state);
        let context = Context::new().with_remote_span_context(span);
        injected(&TraceContextPropagator, &context).remove("tracestate")
    };
    assert_eq!(written(&[("foo", "1\r\nx: y")]), None);
    assert_eq!(written(&[("foo", "\u{fc}")]), None);
    assert_eq!(written(&[("foo", "")]), None);
    let (foo, bar) = ("1".repeat(200), "2".repeat(200));
    let long: Vec<_> = (0..8).map(|n| (format!("k{n}"), foo.as_str())).collect();
    let long: Vec<_> = long.iter().map(|(key, value)| (&**key, *value)).collect();
    assert!(written(&long).unwrap().len() <= WRITE_LIMIT);
    let both = format!("foo={foo},bar={bar}");
    assert_eq!(written(&[("foo", &foo), ("bar", &bar)]), Some(both));
}

/// Added members stand before the received ones, also where those have keys that the SDK does not accept.
#[test]
fn a_member_that_a_sampler_adds_is_the_left_most() {
    for received in ["bar=2", "b@a@r=2"] {
        let headers = states(&[received]).headers();
        let caller = TraceContextPropagator.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
        let parent = caller.span().span_context().clone();
        let state = parent.trace_state().insert("foo", "1").unwrap();
        let (trace, span) = (parent.trace_id(), SpanId::from(7));
        let own = SpanContext::new(trace, span, parent.trace_flags(), false, state);
        let out = injected(&TraceContextPropagator, &caller.with_remote_span_context(own));
        assert_eq!(out["tracestate"], format!("foo=1,{received}"));
    }
}

/// Callers send the same span in several formats. Those that cannot express everything are read last here.
#[test]
fn a_second_format_keeps_what_only_the_first_can_express() {
    let both = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator),
        Box::new(B3Propagator::Single),
        Box::new(JaegerPropagator),
    ]);
    let out = |b3: &str, jaeger: &str| {
        let parent = PARENT.replace("-01", "-03");
        let mut request = states(&["foo=1", "b@a@r=2"]);
        request.lines[0].1 = parent.into_bytes();
        request.lines.push(("b3".to_owned(), b3.into()));
        let jaeger = ("uber-trace-id".to_owned(), jaeger.into());
        request.lines.push(jaeger);
        let headers = request.headers();
        let context = both.extract_with_context(&Context::new(), &HeaderExtractor(&headers));
        let mut out = injected(&both, &context);
        (out.remove("traceparent").unwrap(), out.remove("tracestate"))
    };
    let (b3, jaeger) = (format!("{TRACE}-{SPAN}-1"), format!("{TRACE}:{SPAN}:0:1"));
    let parent = |span: &str, flags: &str| format!("00-{TRACE}-{span}-{flags}");
    let whole = (parent(SPAN, "03"), Some("foo=1,b@a@r=2".to_owned()));
    assert_eq!(out(&b3, &jaeger), whole);
    // Where they differ the last format wins, without the state and the flag that belong to the other span.
    let other = "00000000000000ab";
    let injected = out(&b3, &format!("{TRACE}:{other}:0:1"));
    assert_eq!(injected, (parent(other, "01"), None));
    let injected = out(&b3, &format!("{TRACE}:{SPAN}:0:0"));
    assert_eq!(injected, (parent(SPAN, "00"), None));
}

#[test]
fn a_local_span_with_the_same_ids_is_replaced_by_the_remote_one() {
    let carrier = HashMap::from([("b3".to_owned(), format!("{TRACE}-{SPAN}-1"))]);
    let remote = B3Propagator::Single.extract_with_context(&Context::new(), &carrier);
    let remote = remote.span().span_context().clone();
    let (trace, span, flags) = (remote.trace_id(), remote.span_id(), remote.trace_flags());
    let own = SpanContext::new(trace, span, flags, false, TraceState::default());
    let context = Context::new().with_remote_span_context(own);
    let context = B3Propagator::Single.extract_with_context(&context, &carrier);
    assert!(context.span().span_context().is_remote());
}
