//! Trace context in HTTP headers, which are gRPC's metadata too.

use super::trace_context::{TRACESTATE, traceparent};
use super::{b3, baggage, jaeger, trace_context};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState};
use opentelemetry::{Context, global};

/// The headers of all propagators, whichever of them are on. Does not compile when one of them has a header more.
const HEADERS: [&str; 10] = {
    let [traceparent, tracestate] = trace_context::HEADERS;
    let [baggage] = baggage::HEADERS;
    let [single, trace_id, span_id, parent_span_id, sampled, flags] = b3::HEADERS;
    let [uber_trace_id] = jaeger::HEADERS;
    [traceparent, tracestate, baggage, single, trace_id, span_id, parent_span_id, sampled, flags, uber_trace_id]
};

/// The current context with the caller's span and baggage, as the headers of its request give them.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(headers)))
}

/// The caller's span alone, without its `tracestate` and baggage.
pub(crate) fn caller_span(headers: &HeaderMap) -> Option<SpanContext> {
    let empty = Context::new();
    let context = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&empty, &IdsOnly(HeaderExtractor(headers)))
    });
    let span = context.span();
    let span = span.span_context();
    span.is_valid()
        .then(|| SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), true, TraceState::default()))
}

/// Removes every header of a trace context, in any format.
pub(crate) fn remove(headers: &mut HeaderMap) {
    let is_context = |name: &HeaderName| HEADERS.contains(&name.as_str());
    if headers.keys().any(is_context) {
        for name in HEADERS {
            headers.remove(name);
        }
    }
}

/// Writes a context into the headers of a request, without its baggage unless that is allowed.
pub(crate) fn inject(context: &Context, headers: &mut HeaderMap, with_baggage: bool) {
    let without;
    let context = if with_baggage || context.baggage().is_empty() {
        context
    } else {
        without = context.with_cleared_baggage();
        &without
    };
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut HeaderInjector(headers));
    });
}

/// Writes the ids of the server's span into the headers of a response: `traceresponse` and `server-timing`.
pub(crate) fn inject_response(context: &Context, headers: &mut HeaderMap) {
    let Some(parent) = traceparent(context) else {
        return;
    };
    let timing = format!("traceparent;desc=\"{parent}\"");
    for (name, text) in [("traceresponse", parent), ("server-timing", timing)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(name, value);
        }
    }
}

struct HeaderInjector<'request>(&'request mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A propagator of this library only writes valid headers.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

pub(super) struct HeaderExtractor<'request>(pub(super) &'request HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Hides `tracestate` and `baggage`, which are never used for untrusted callers, so that they are not parsed.
struct IdsOnly<'request>(HeaderExtractor<'request>);

impl IdsOnly<'_> {
    fn is_visible(key: &str) -> bool {
        !matches!(key, TRACESTATE | baggage::BAGGAGE)
    }
}

impl Extractor for IdsOnly<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        Self::is_visible(key).then(|| self.0.get(key)).flatten()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Self::is_visible(key).then(|| self.0.get_all(key)).flatten()
    }
}

/// The text of a value, or U+FFFD, which every propagator refuses, if it is not visible ASCII. Left out, such a value
/// would let a second `traceparent` pass as the only one; as an empty text it would be an empty, valid list member.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}
