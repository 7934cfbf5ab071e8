//! Jaeger's own header, which its clients from before OpenTelemetry send
//! (<https://www.jaegertracing.io/sdk-migration/#propagation-format>).

use super::parse::{lower_hex, trim_ows};
use super::remote_parent::{span_context, with_remote_parent};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use std::sync::LazyLock;

pub(super) const UBER_TRACE_ID: &str = "uber-trace-id";
pub(super) const HEADERS: [&str; 1] = [UBER_TRACE_ID];

const SAMPLED: u128 = 0x01;
const DEBUG: u128 = 0x02;

/// The propagator of `OTEL_PROPAGATORS=jaeger`: `{trace}:{span}:{parent}:{flags}`. Its baggage (`uberctx-…`) is not
/// read.
#[derive(Debug)]
pub(crate) struct JaegerPropagator;

impl TextMapPropagator for JaegerPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if span.is_valid() {
            let flags = u8::from(span.is_sampled());
            let (trace, id) = (span.trace_id(), span.span_id());
            // The parent's id is deprecated, and written as 0.
            injector.set(UBER_TRACE_ID, format!("{trace:032x}:{id:016x}:0:{flags}"));
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        with_remote_parent(context, extractor.get(UBER_TRACE_ID).and_then(parse))
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| HEADERS.map(ToOwned::to_owned));
        FieldIter::new(FIELDS.as_slice())
    }
}

/// Reads `{trace}:{span}:{parent}:{flags}`. Leading zeros may be missing, and some clients percent-encode the colons.
fn parse(header: &str) -> Option<SpanContext> {
    // The longest value: all parts at full length, and three encoded colons.
    if header.len() > 32 + 16 + 16 + 2 + 9 {
        return None;
    }
    let header = header.replace("%3A", ":").replace("%3a", ":");
    let mut parts = trim_ows(&header).split(':');
    let mut number = |max_digits: usize| {
        let part = parts.next()?;
        (1..=max_digits).contains(&part.len()).then(|| lower_hex(part.as_bytes())).flatten()
    };
    let (trace, span, _parent, flags) = (number(32)?, number(16)?, number(16)?, number(2)?);
    if parts.next().is_some() {
        return None;
    }
    span_context(trace, span, flags & (SAMPLED | DEBUG) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::TraceContextPropagator;
    use std::collections::HashMap;

    fn extracted(header: &str) -> Option<(String, String, bool)> {
        let carrier = HashMap::from([(UBER_TRACE_ID.to_owned(), header.to_owned())]);
        let context = JaegerPropagator.extract_with_context(&Context::new(), &carrier);
        let span = context.span().span_context().clone();
        let ids = || (span.trace_id().to_string(), span.span_id().to_string(), span.is_sampled());
        span.is_valid().then(ids)
    }

    #[test]
    fn ids_are_read_with_and_without_their_leading_zeros() {
        let known = Some((format!("{:0>32}", "abc"), format!("{:0>16}", "12"), true));
        assert_eq!(extracted("abc:12:0:1"), known);
        assert_eq!(extracted(&format!("{:0>32}:{:0>16}:0:3", "abc", "12")), known);
        assert_eq!(extracted("abc%3A12%3a0%3A01"), known);
        assert_eq!(extracted("abc:12:0:0").map(|ids| ids.2), Some(false));
    }

    #[test]
    fn an_invalid_header_is_ignored() {
        for bad in [
            "",
            ":",
            "abc",
            "abc:12:0",
            "0:12:0:1",
            "abc:0:0:1",
            "abc:12:0:1:9",
            "xyz:12:0:1",
            "+bc:12:0:1",
            "abc:12::1",
            "ABC:12:0:1",
        ] {
            assert_eq!(extracted(bad), None, "{bad:?}");
        }
        assert_eq!(extracted(&"a".repeat(10_000)), None);
    }

    #[test]
    fn its_trace_ids_are_not_flagged_as_random() {
        let carrier = HashMap::from([(UBER_TRACE_ID.to_owned(), "abc:12:0:1".to_owned())]);
        let context = JaegerPropagator.extract_with_context(&Context::new(), &carrier);
        let mut out = HashMap::new();
        TraceContextPropagator.inject_context(&context, &mut out);
        assert!(out["traceparent"].ends_with("-01"), "{out:?}");
    }

    #[test]
    fn an_extracted_parent_is_injected_with_full_length_ids() {
        let carrier = HashMap::from([(UBER_TRACE_ID.to_owned(), "abc:12:0:1".to_owned())]);
        let context = JaegerPropagator.extract_with_context(&Context::new(), &carrier);
        let mut out = HashMap::new();
        JaegerPropagator.inject_context(&context, &mut out);
        assert_eq!(out[UBER_TRACE_ID], format!("{:0>32}:{:0>16}:0:1", "abc", "12"));
    }
}
