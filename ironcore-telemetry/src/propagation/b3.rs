//! B3, as Zipkin defines it (<https://github.com/openzipkin/b3-propagation>): one header, or several. A caller that
//! leaves the sampling decision to us counts as sampled, as in other SDKs; so does the debug flag.

use super::parse::{lower_hex, trim_ows};
use super::remote_parent::{span_context, with_remote_parent};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use std::sync::LazyLock;

pub(super) const SINGLE: &str = "b3";
pub(super) const TRACE_ID: &str = "x-b3-traceid";
pub(super) const SPAN_ID: &str = "x-b3-spanid";
/// Not read: our parent is the caller's span.
const PARENT_SPAN_ID: &str = "x-b3-parentspanid";
pub(super) const SAMPLED: &str = "x-b3-sampled";
pub(super) const FLAGS: &str = "x-b3-flags";
pub(super) const HEADERS: [&str; 6] = [SINGLE, TRACE_ID, SPAN_ID, PARENT_SPAN_ID, SAMPLED, FLAGS];

/// The propagators of `OTEL_PROPAGATORS=b3` and `b3multi`. Each reads both formats and writes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum B3Propagator {
    /// `b3: {trace}-{span}-{sampled}`.
    Single,
    /// `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled`.
    Multi,
}

impl TextMapPropagator for B3Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let sampled = if span.is_sampled() { "1" } else { "0" };
        let (trace, id) = (span.trace_id(), span.span_id());
        match self {
            Self::Single => injector.set(SINGLE, format!("{trace:032x}-{id:016x}-{sampled}")),
            Self::Multi => {
                injector.set(TRACE_ID, format!("{trace:032x}"));
                injector.set(SPAN_ID, format!("{id:016x}"));
                injector.set(SAMPLED, sampled.to_owned());
            }
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        // The single header takes precedence, even if it only denies sampling or is invalid.
        let parent = match extractor.get(SINGLE) {
            Some(header) => parse_single(header),
            None => parse_multi(extractor),
        };
        with_remote_parent(context, parent)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 6]> = LazyLock::new(|| HEADERS.map(ToOwned::to_owned));
        FieldIter::new(FIELDS.as_slice())
    }
}

/// Reads `{trace}-{span}[-{sampled}[-{parent}]]`. A bare `0` ("do not sample") has no ids, so it gives no parent.
fn parse_single(header: &str) -> Option<SpanContext> {
    let mut parts = trim_ows(header).split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next();
    let parent = parts.next();
    if parts.next().is_some() || parent.is_some_and(|parent| parse_id(parent, &[16]).is_none_or(|id| id == 0)) {
        return None;
    }
    let sampled = match sampled {
        None | Some("1" | "d") => true,
        Some("0") => false,
        Some(_) => return None,
    };
    parse_ids(trace, span, sampled)
}

fn parse_multi(extractor: &dyn Extractor) -> Option<SpanContext> {
    let debug = extractor.get(FLAGS) == Some("1");
    let sampled = match extractor.get(SAMPLED) {
        None | Some("1" | "true") => true,
        Some("0" | "false") => debug,
        Some(_) => return None,
    };
    parse_ids(extractor.get(TRACE_ID)?, extractor.get(SPAN_ID)?, sampled)
}

fn parse_ids(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    span_context(parse_id(trace, &[16, 32])?, parse_id(span, &[16])?, sampled)
}

/// An id with one of these numbers of digits.
fn parse_id(text: &str, lengths: &[usize]) -> Option<u128> {
    lengths.contains(&text.len()).then(|| lower_hex(text.as_bytes())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn extracted(headers: &[(&str, &str)]) -> Option<(String, bool)> {
        let carrier: HashMap<String, String> =
            headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let context = B3Propagator::Single.extract_with_context(&Context::new(), &carrier);
        let span = context.span().span_context().clone();
        span.is_valid().then(|| (span.trace_id().to_string(), span.is_sampled()))
    }

    #[test]
    fn the_single_and_the_multiple_headers_give_the_same_parent() {
        let known = Some((TRACE.to_owned(), true));
        for single in
            [format!("{TRACE}-{SPAN}"), format!("{TRACE}-{SPAN}-1"), format!("{TRACE}-{SPAN}-d-05e3ac9a4f6e3b90")]
        {
            assert_eq!(extracted(&[(SINGLE, &single)]), known, "{single}");
        }
        assert_eq!(extracted(&[(TRACE_ID, TRACE), (SPAN_ID, SPAN), (SAMPLED, "1")]), known);
        assert_eq!(extracted(&[(TRACE_ID, TRACE), (SPAN_ID, SPAN), (SAMPLED, "0")]), Some((TRACE.to_owned(), false)));
        assert_eq!(
            extracted(&[(SINGLE, &format!("{}-{SPAN}-0", &TRACE[16..]))]),
            Some((format!("{:0>32}", &TRACE[16..]), false))
        );
    }

    #[test]
    fn an_invalid_header_is_ignored() {
        for bad in [
            "0",
            "1",
            "",
            "-",
            "x-y",
            "80f198ee-e457b5a2e4d86bd1-1",
            "00000000000000000000000000000000-e457b5a2e4d86bd1-1",
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-2",
            "80F198EE56343BA864FE8B2A57D3EFF7-e457b5a2e4d86bd1-1",
            "80f198ee56343ba864fe8b2a57d3eff7-+457b5a2e4d86bd1-1",
            "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-more",
        ] {
            assert_eq!(extracted(&[(SINGLE, bad)]), None, "{bad:?}");
        }
    }

    #[test]
    fn each_propagator_injects_its_own_format() {
        let carrier = HashMap::from([(SINGLE.to_owned(), format!("{TRACE}-{SPAN}-1"))]);
        let context = B3Propagator::Single.extract_with_context(&Context::new(), &carrier);
        let mut single = HashMap::new();
        B3Propagator::Single.inject_context(&context, &mut single);
        assert_eq!(single, carrier);
        let mut multi = HashMap::new();
        B3Propagator::Multi.inject_context(&context, &mut multi);
        assert_eq!(multi[TRACE_ID], TRACE);
        assert_eq!(multi[SPAN_ID], SPAN);
        assert_eq!(multi[SAMPLED], "1");
    }
}
