//! One value for each attribute: the SDK adds one that is set again, and OTLP asks for unique keys.

use opentelemetry::KeyValue;
#[cfg(feature = "testing")]
use opentelemetry_sdk::trace::SpanData;

/// The last pair of each key.
pub(super) fn last_of_each_key(pairs: &[KeyValue]) -> impl Iterator<Item = &KeyValue> {
    pairs.iter().enumerate().filter_map(|(at, pair)| {
        let is_set_again = pairs.iter().skip(at + 1).any(|later| later.key == pair.key);
        (!is_set_again).then_some(pair)
    })
}

/// A span with the last value of each attribute.
#[cfg(feature = "testing")]
pub(crate) fn last_values(mut span: SpanData) -> SpanData {
    span.attributes = last_of_each_key(&span.attributes).cloned().collect();
    span
}
