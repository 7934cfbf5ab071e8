//! Our encoding of a span against the official messages and their conversion from the SDK's span.

use super::*;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span, Status as ProtoStatus};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn decoded(span: &SpanData) -> Span {
    let mut bytes = Vec::new();
    span.encode(&mut bytes);
    let mut scope = ScopeSpans::decode(bytes.as_slice()).unwrap();
    assert_eq!(scope.spans.len(), 1);
    scope.spans.remove(0)
}

/// The official message, which has a status also where none is set.
fn official(span: SpanData) -> Span {
    let mut span = Span::from(span);
    span.status = span.status.filter(|status| *status != ProtoStatus::default());
    span
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "\\PC{0,20}", 1 => "[a-zé]{100,300}"]
}

/// Those of other lengths than the numbers of cards, which are masked.
fn number() -> impl Strategy<Value = i64> {
    any::<i64>().prop_map(|number| if number.unsigned_abs() < 10_u64.pow(17) { number % 1_000_000 } else { number })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        text().prop_map(Value::from),
        vec(any::<bool>(), 0..4).prop_map(|values| Value::Array(values.into())),
        vec(number(), 0..4).prop_map(|values| Value::Array(values.into())),
        vec(-1e9..1e9, 0..4).prop_map(|values| Value::Array(values.into())),
        vec(text(), 0..4).prop_map(|values| {
            let values: Vec<StringValue> = values.into_iter().map(StringValue::from).collect();
            Value::Array(values.into())
        }),
    ]
}

/// Attributes whose keys differ.
fn attributes(most: usize) -> impl Strategy<Value = Vec<KeyValue>> {
    // Of letters that make no name of a secret, under which a value is masked.
    vec(("[ké☃]{0,200}", value()), 0..most).prop_map(|pairs| {
        let pairs = pairs.into_iter().enumerate();
        pairs.map(|(at, (key, value))| KeyValue::new(Key::from(format!("{at}{key}")), value)).collect()
    })
}

fn moment() -> impl Strategy<Value = SystemTime> {
    (0..1_u64 << 62).prop_map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
}

prop_compose! {
    fn ids()(trace in any::<u128>(), span in any::<u64>(), flags in any::<u8>(), is_remote in any::<bool>(),
        state in prop_oneof![Just(vec![]), Just(vec![("vendor", "a1"), ("other", "x")])]) -> SpanContext
    {
        let state = TraceState::from_key_value(state).unwrap();
        SpanContext::new(trace.into(), span.into(), TraceFlags::new(flags), is_remote, state)
    }
}

prop_compose! {
    fn event()(name in text(), timestamp in moment(), attributes in attributes(4), dropped in any::<u32>()) -> Event {
        Event::new(name, timestamp, attributes, dropped)
    }
}

prop_compose! {
    fn link()(ids in ids(), attributes in attributes(3), dropped in any::<u32>()) -> Link {
        Link::new(ids, attributes, dropped)
    }
}

prop_compose! {
    fn span()(
        (span_context, parent_span_id, parent_span_is_remote) in (ids(), any::<u64>(), any::<bool>()),
        kind in 0..5,
        name in text(),
        (start_time, length) in (moment(), 0..1_u64 << 50),
        attributes in attributes(8),
        dropped in any::<[u32; 3]>(),
        events in vec(event(), 0..4),
        links in vec(link(), 0..3),
        status in prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)],
    ) -> SpanData {
        let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
        let (mut all_events, mut all_links) = (SpanEvents::default(), SpanLinks::default());
        (all_events.events, all_events.dropped_count) = (events, dropped[1]);
        (all_links.links, all_links.dropped_count) = (links, dropped[2]);
        SpanData {
            span_context,
            parent_span_id: parent_span_id.into(),
            parent_span_is_remote,
            span_kind: kinds[usize::try_from(kind).unwrap()].clone(),
            name: name.into(),
            start_time,
            end_time: start_time + Duration::from_nanos(length),
            attributes,
            dropped_attributes_count: dropped[0],
            events: all_events,
            links: all_links,
            status,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn our_bytes_are_the_official_message(span in span()) {
        let ours = decoded(&span);
        let theirs = official(span);
        prop_assert_eq!(&ours, &theirs);
        // And the other way round: theirs in bytes reads as ours.
        prop_assert_eq!(Span::decode(theirs.encode_to_vec().as_slice()).unwrap(), ours);
    }

    #[test]
    fn the_size_of_a_span_grows_with_each_of_its_texts(span in span(), more in 1..5000_usize) {
        let size = span.size();
        let long = || "x".repeat(more);
        let with_pair = |pairs: &[KeyValue]| {
            let mut pairs = pairs.to_vec();
            pairs.push(KeyValue::new(long(), long()));
            pairs
        };
        let named = SpanData { name: format!("{}{}", span.name, long()).into(), ..span.clone() };
        prop_assert_eq!(named.size(), size + more);
        let described = SpanData { attributes: with_pair(&span.attributes), ..span.clone() };
        prop_assert!(described.size() >= size + 2 * more);
        let mut eventful = span.clone();
        eventful.events.events.push(Event::new(long(), UNIX_EPOCH, with_pair(&[]), 0));
        prop_assert!(eventful.size() >= size + 3 * more);
        let mut linked = span;
        linked.links.links.push(Link::new(plain().span_context, with_pair(&[]), 0));
        prop_assert!(linked.size() >= size + 2 * more);
    }
}

fn plain() -> SpanData {
    SpanData {
        span_context: SpanContext::new(1.into(), 1.into(), TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: 0.into(),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "test".into(),
        start_time: UNIX_EPOCH + Duration::from_secs(9),
        end_time: UNIX_EPOCH + Duration::from_secs(9),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

#[test]
fn of_a_key_that_is_set_again_the_last_value_counts() {
    let pair = |key: &'static str, value: i64| KeyValue::new(key, value);
    let span = decoded(&SpanData { attributes: vec![pair("a", 1), pair("b", 2), pair("a", 3)], ..plain() });
    let keys: Vec<_> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
    assert_eq!(span.attributes[1].value, Some(Value::I64(3).into()));
}

#[test]
fn a_span_never_ends_before_it_starts() {
    for end in [UNIX_EPOCH, UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(8)] {
        let span = decoded(&SpanData { end_time: end, ..plain() });
        assert_eq!(span.end_time_unix_nano, span.start_time_unix_nano);
    }
}

#[test]
fn everything_of_any_length_is_cut_at_its_limit_before_it_is_queued_and_when_it_is_encoded() {
    let long = || "é".repeat(1 << 20);
    let texts = || Value::Array(Array::String((0..200_000).map(|_| StringValue::from("0123456789")).collect()));
    let numbers = || Value::Array(Array::I64(vec![i64::MAX; 1 << 20]));
    let pairs = || {
        let values = [Value::from(long()), texts(), numbers()];
        values.into_iter().enumerate().map(|(at, value)| KeyValue::new(format!("{at}{}", long()), value)).collect()
    };
    let (mut events, mut links) = (SpanEvents::default(), SpanLinks::default());
    events.events = vec![Event::new(long(), UNIX_EPOCH, pairs(), 0)];
    links.links = vec![Link::new(plain().span_context, pairs(), 0)];
    let status = Status::error(long());
    let mut span = SpanData { name: long().into(), attributes: pairs(), events, links, status, ..plain() };
    let most = 4 * (VALUE_LIMIT + values::NAME_LIMIT) * 4;
    let mut encoded = Vec::new();
    span.encode(&mut encoded);
    assert!(encoded.len() < most, "{}", encoded.len());
    assert!(span.size() > 50 << 20, "{}", span.size());
    let size = cut_large(&mut span);
    assert_eq!(size, span.size());
    assert!(size < most * 8, "{size}");
    for pair in &span.attributes {
        let capacity = match &pair.value {
            Value::Array(Array::String(texts)) => texts.capacity(),
            Value::Array(Array::I64(numbers)) => numbers.capacity(),
            _ => 0,
        };
        assert!(capacity <= VALUE_LIMIT, "{capacity}");
    }
    let cut = decoded(&span);
    assert_eq!(cut, decoded_bytes(&encoded));
}

fn decoded_bytes(bytes: &[u8]) -> Span {
    ScopeSpans::decode(bytes).unwrap().spans.remove(0)
}
