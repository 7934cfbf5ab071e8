//! One value for each attribute.

use opentelemetry_sdk::trace::SpanData;

/// Keeps the last value of each attribute of a span: the SDK adds one that is set again, and OTLP asks for unique keys.
pub(crate) fn last_values(mut span: SpanData) -> SpanData {
    let attributes = &mut span.attributes;
    let is_set_again = |at: usize| {
        let key = attributes.get(at).map(|pair| &pair.key);
        attributes.iter().skip(at + 1).any(|later| Some(&later.key) == key)
    };
    let again: Vec<bool> = (0..attributes.len()).map(is_set_again).collect();
    if again.contains(&true) {
        let mut again = again.into_iter();
        attributes.retain(|_| !again.next().unwrap_or(false));
    }
    span
}
