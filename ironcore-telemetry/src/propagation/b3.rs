//! B3, as Zipkin has it (<https://github.com/openzipkin/b3-propagation>): one header, or several. A caller that leaves the
//! decision to us (no word on sampling) counts as one that samples, as in other SDKs; debug counts as sampled.

use super::{continued, hex, remote, trimmed};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use std::sync::LazyLock;

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The propagators of `OTEL_PROPAGATORS=b3` and `b3multi`. Both read both; they differ in what they write.
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
                injector.set(TRACE, format!("{trace:032x}"));
                injector.set(SPAN, format!("{id:016x}"));
                injector.set(SAMPLED, sampled.to_owned());
            }
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        // The one header goes first, also when it says that there is no trace.
        let parent = match extractor.get(SINGLE) {
            Some(header) => single(header),
            None => multi(extractor),
        };
        continued(context, parent)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 5]> =
            LazyLock::new(|| [SINGLE, TRACE, SPAN, SAMPLED, FLAGS].map(ToOwned::to_owned));
        FieldIter::new(FIELDS.as_slice())
    }
}

/// `{trace}-{span}`, then perhaps `-{sampled}`, then perhaps `-{parent}`. `0` alone says "do not sample" of no trace.
fn single(header: &str) -> Option<SpanContext> {
    let mut parts = trimmed(header).split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let sampled = parts.next();
    let parent = parts.next();
    if parts.next().is_some() || parent.is_some_and(|parent| id(parent, &[16]).is_none_or(|id| id == 0)) {
        return None;
    }
    let sampled = match sampled {
        None | Some("1" | "d") => true,
        Some("0") => false,
        Some(_) => return None,
    };
    parent_of(trace, span, sampled)
}

fn multi(extractor: &dyn Extractor) -> Option<SpanContext> {
    let debug = extractor.get(FLAGS) == Some("1");
    let sampled = match extractor.get(SAMPLED) {
        None | Some("1" | "true") => true,
        Some("0" | "false") => debug,
        Some(_) => return None,
    };
    parent_of(extractor.get(TRACE)?, extractor.get(SPAN)?, sampled)
}

fn parent_of(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    remote(id(trace, &[16, 32])?, id(span, &[16])?, sampled)
}

/// A number of one of these lengths.
fn id(text: &str, lengths: &[usize]) -> Option<u128> {
    lengths.contains(&text.len()).then(|| hex(text.as_bytes())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const TRACE_ID: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN_ID: &str = "e457b5a2e4d86bd1";

    fn extracted(headers: &[(&str, &str)]) -> Option<(String, bool)> {
        let carrier: HashMap<String, String> =
            headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let context = B3Propagator::Single.extract_with_context(&Context::new(), &carrier);
        let span = context.span().span_context().clone();
        span.is_valid().then(|| (span.trace_id().to_string(), span.is_sampled()))
    }

    #[test]
    fn one_header_and_several_say_the_same() {
        let known = Some((TRACE_ID.to_owned(), true));
        for single in [
            format!("{TRACE_ID}-{SPAN_ID}"),
            format!("{TRACE_ID}-{SPAN_ID}-1"),
            format!("{TRACE_ID}-{SPAN_ID}-d-05e3ac9a4f6e3b90"),
        ] {
            assert_eq!(extracted(&[(SINGLE, &single)]), known, "{single}");
        }
        assert_eq!(extracted(&[(TRACE, TRACE_ID), (SPAN, SPAN_ID), (SAMPLED, "1")]), known);
        assert_eq!(
            extracted(&[(TRACE, TRACE_ID), (SPAN, SPAN_ID), (SAMPLED, "0")]),
            Some((TRACE_ID.to_owned(), false))
        );
        assert_eq!(
            extracted(&[(SINGLE, &format!("{}-{SPAN_ID}-0", &TRACE_ID[16..]))]),
            Some((format!("{:0>32}", &TRACE_ID[16..]), false))
        );
    }

    #[test]
    fn what_is_not_a_trace_starts_a_new_one() {
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
    fn each_form_is_written_as_it_is_called() {
        let carrier = HashMap::from([(SINGLE.to_owned(), format!("{TRACE_ID}-{SPAN_ID}-1"))]);
        let context = B3Propagator::Single.extract_with_context(&Context::new(), &carrier);
        let mut single = HashMap::new();
        B3Propagator::Single.inject_context(&context, &mut single);
        assert_eq!(single, carrier);
        let mut multi = HashMap::new();
        B3Propagator::Multi.inject_context(&context, &mut multi);
        assert_eq!(multi[TRACE], TRACE_ID);
        assert_eq!(multi[SPAN], SPAN_ID);
        assert_eq!(multi[SAMPLED], "1");
    }
}
