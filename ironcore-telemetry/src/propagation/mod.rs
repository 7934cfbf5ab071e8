//! Trace context across process boundaries.

mod b3;
mod baggage;
#[cfg(all(test, feature = "http"))]
mod conformance;
#[cfg(all(test, feature = "http"))]
mod hostile;
mod jaeger;
mod trace_context;

pub(crate) use b3::B3Propagator;
pub(crate) use baggage::BaggagePropagator;
pub(crate) use jaeger::JaegerPropagator;
pub(crate) use trace_context::TraceContextPropagator;

#[cfg(any(feature = "http", feature = "grpc"))]
use http::HeaderMap;
use opentelemetry::Context;
#[cfg(any(feature = "http", feature = "grpc"))]
use opentelemetry::baggage::BaggageExt as _;
#[cfg(any(feature = "http", feature = "grpc"))]
use opentelemetry::global;
#[cfg(any(feature = "http", feature = "grpc"))]
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, SpanRef, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use trace_context::Carried;

/// The caller's context, as the headers of its request tell it, on top of the current one.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)))
}

/// The span that a request says to come from, and nothing else of what it says: neither its `tracestate` nor its baggage.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let nowhere = Context::new();
    let context = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&nowhere, &IdsOnly(Headers(headers)))
    });
    let span = context.span();
    let span = span.span_context();
    span.is_valid()
        .then(|| SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), true, TraceState::default()))
}

/// Headers that some propagator may read.
#[cfg(any(feature = "http", feature = "grpc"))]
const HEADERS: [&str; 10] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "uber-trace-id",
];

/// Removes whatever is there of a context.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn remove(headers: &mut HeaderMap) {
    let is_context = |name: &http::HeaderName| HEADERS.contains(&name.as_str());
    if headers.keys().any(is_context) {
        for name in HEADERS {
            headers.remove(name);
        }
    }
}

/// Writes a context into the headers of a request, its baggage only if that may go too.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn inject(context: &Context, headers: &mut HeaderMap, with_baggage: bool) {
    let without;
    let context = if with_baggage || context.baggage().is_empty() {
        context
    } else {
        without = context.with_cleared_baggage();
        &without
    };
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut HeadersMut(headers));
    });
}

#[cfg(any(feature = "http", feature = "grpc"))]
struct HeadersMut<'request>(&'request mut HeaderMap);

#[cfg(any(feature = "http", feature = "grpc"))]
impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        // What a propagator writes is a header.
        if let (Ok(name), Ok(value)) =
            (http::HeaderName::from_bytes(key.as_bytes()), http::HeaderValue::try_from(value))
        {
            self.0.insert(name, value);
        }
    }
}

/// Tells a caller the ids of the span that its request was handled in.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) fn respond(context: &Context, headers: &mut HeaderMap) {
    let Some(parent) = trace_context::parent_of(context) else {
        return;
    };
    let timing = format!("traceparent;desc=\"{parent}\"");
    for (name, text) in [("traceresponse", parent), ("server-timing", timing)] {
        if let Ok(value) = http::HeaderValue::from_str(&text) {
            headers.append(name, value);
        }
    }
}

#[cfg(any(feature = "http", feature = "grpc"))]
struct Headers<'request>(&'request HeaderMap);

#[cfg(any(feature = "http", feature = "grpc"))]
impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Headers without those of which nothing is used: nobody's long ones are read in vain.
#[cfg(any(feature = "http", feature = "grpc"))]
struct IdsOnly<'request>(Headers<'request>);

#[cfg(any(feature = "http", feature = "grpc"))]
impl IdsOnly<'_> {
    fn is_read(key: &str) -> bool {
        !matches!(key, "tracestate" | "baggage")
    }
}

#[cfg(any(feature = "http", feature = "grpc"))]
impl Extractor for IdsOnly<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        Self::is_read(key).then(|| self.0.get(key)).flatten()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Self::is_read(key).then(|| self.0.get_all(key)).flatten()
    }
}

/// A value that is not visible ASCII is there, as one that no propagator takes: left out, a second `traceparent` would
/// pass as the only one, and empty, it would pass as no member of a `tracestate`.
#[cfg(any(feature = "http", feature = "grpc"))]
fn text(value: &http::HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}

/// The span of a caller whose format has ids and a decision, and no more; `None` if an id is zero.
fn remote(trace: u128, span: u128, sampled: bool) -> Option<SpanContext> {
    let parent = SpanContext::new(
        TraceId::from(trace),
        SpanId::from(u64::try_from(span).ok()?),
        TraceFlags::default().with_sampled(sampled),
        true,
        TraceState::default(),
    );
    parent.is_valid().then_some(parent)
}

/// The context under such a span, if there is one. Where another format has said the same already, it stands with all
/// that this one has no words for.
fn continued(context: &Context, parent: Option<SpanContext>) -> Context {
    match parent {
        Some(parent) if !says(&context.span(), &parent) => {
            let carried = Carried::without_word(parent.trace_id());
            context.with_remote_span_context(parent).with_value(carried)
        }
        _ => context.clone(),
    }
}

fn says(said: &SpanRef<'_>, parent: &SpanContext) -> bool {
    let of = |span: &SpanContext| (span.trace_id(), span.span_id(), span.is_sampled());
    said.span_context().is_remote() && of(said.span_context()) == of(parent)
}

/// Digits and lower-case letters only, whatever `from_str_radix` would take; at most 32 of them.
fn hex(digits: &[u8]) -> Option<u128> {
    if digits.len() > 32 {
        return None;
    }
    digits.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// Without the white space that HTTP allows around a value.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
