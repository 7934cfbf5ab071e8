//! `baggage`, strictly as the W3C recommendation defines it (<https://www.w3.org/TR/baggage/>).
//!
//! An invalid member is left out, the others are kept. Properties are passed on as received and never decoded: the
//! SDK's own propagator decodes them and writes them raw, which turns `a=1;b=%2Cadmin=1` into a second member.

use super::parse::trim_ows;
use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

pub(super) const BAGGAGE: &str = "baggage";
pub(super) const HEADERS: [&str; 1] = [BAGGAGE];

/// Limits of the header: those up to which the recommendation obliges every implementation to pass baggage on.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// The propagator of `OTEL_PROPAGATORS=baggage`.
#[derive(Debug)]
pub(crate) struct BaggagePropagator;

impl TextMapPropagator for BaggagePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let header = serialize(context.baggage());
        if !header.is_empty() {
            injector.set(BAGGAGE, header);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some(lines) = extractor.get_all(BAGGAGE) else {
            return context.clone();
        };
        let members = parse_lines(&lines);
        if members.is_empty() {
            return context.clone();
        }
        context.with_baggage(Baggage::from_iter(members))
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| HEADERS.map(ToOwned::to_owned));
        FieldIter::new(FIELDS.as_slice())
    }
}

/// The valid members of all lines, up to the limits. Nothing beyond them is parsed.
fn parse_lines(lines: &[&str]) -> Vec<KeyValueMetadata> {
    let mut members = Vec::new();
    let mut left = MAX_BYTES;
    for line in lines {
        // A line is never cut: the rest of a member could be read as another one.
        let Some(rest) = left.checked_sub(line.len()) else {
            break;
        };
        left = rest;
        for member in line.split(',') {
            if members.len() == MAX_MEMBERS {
                return members;
            }
            members.extend(parse_member(member));
        }
    }
    members
}

/// Reads `key=value;property;key=value`.
fn parse_member(member: &str) -> Option<KeyValueMetadata> {
    let (pair, properties) = match member.split_once(';') {
        Some((pair, properties)) if are_properties(properties) => (pair, trim_ows(properties)),
        Some(_) => return None,
        None => (member, ""),
    };
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (trim_ows(key), trim_ows(value));
    if !is_token(key) || !value.bytes().all(is_octet) {
        return None;
    }
    Some(KeyValueMetadata::new(key.to_owned(), percent_decode(value)?.into_owned(), properties))
}

/// The header of a baggage within the limits, sorted by key so that it is the same each time.
fn serialize(baggage: &Baggage) -> String {
    let mut members: Vec<_> = baggage.iter().collect();
    members.sort_unstable_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    let mut header = String::new();
    for (key, (value, properties)) in members.into_iter().take(MAX_MEMBERS) {
        if !is_token(key.as_str()) {
            continue;
        }
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        header.push_str(key.as_str());
        header.push('=');
        percent_encode(value.as_str(), &mut header);
        // Invalid properties, which the service itself may have set, could be read as members.
        let properties = properties.as_str();
        if !properties.is_empty() && are_properties(properties) {
            header.push(';');
            header.push_str(properties);
        }
        if header.len() > MAX_BYTES {
            // Members are written whole or not at all; a smaller one may still fit.
            header.truncate(before);
        }
    }
    header
}

fn are_properties(properties: &str) -> bool {
    properties.split(';').all(|property| {
        let (key, value) = property.split_once('=').unwrap_or((property, ""));
        is_token(trim_ows(key)) && trim_ows(value).bytes().all(is_octet)
    })
}

/// An HTTP token (RFC 7230).
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

/// A `baggage-octet` of the recommendation: a byte that needs no encoding, or `%`, which begins an encoded one.
fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// `None` if the percent encoding is broken. Bytes that are not UTF-8 become U+FFFD, as the recommendation demands.
fn percent_decode(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (hex_digit(rest.next()?)?, hex_digit(rest.next()?)?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn percent_encode(value: &str, header: &mut String) {
    for byte in value.bytes() {
        if is_octet(byte) && byte != b'%' {
            header.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn baggage(header: &str) -> Vec<(String, String, String)> {
        let carrier = HashMap::from([(BAGGAGE.to_owned(), header.to_owned())]);
        let context = BaggagePropagator.extract_with_context(&Context::new(), &carrier);
        let mut members: Vec<_> = context
            .baggage()
            .iter()
            .map(|(key, (value, properties))| {
                let text = |text: &str| text.to_owned();
                (text(key.as_str()), text(value.as_str()), text(properties.as_str()))
            })
            .collect();
        members.sort_unstable();
        members
    }

    fn round_trip(header: &str) -> String {
        let carrier = HashMap::from([(BAGGAGE.to_owned(), header.to_owned())]);
        let context = BaggagePropagator.extract_with_context(&Context::new(), &carrier);
        let mut out = HashMap::new();
        BaggagePropagator.inject_context(&context, &mut out);
        out.remove(BAGGAGE).unwrap_or_default()
    }

    fn member(key: &str, value: &str, properties: &str) -> (String, String, String) {
        (key.into(), value.into(), properties.into())
    }

    #[test]
    fn white_space_is_trimmed_values_are_decoded_and_properties_kept() {
        assert_eq!(
            baggage("a = 1 ,b=x%20y; p ; q=2 ,c="),
            [member("a", "1", ""), member("b", "x y", "p ; q=2"), member("c", "", "")]
        );
    }

    #[test]
    fn an_invalid_member_is_left_out_and_the_others_are_kept() {
        for bad in ["", "=1", "a", "a b=1", "a=b c", "a=\"1\"", "a=1;", "a=1;p q", "a=%zz", "a=%f", "ü=1"] {
            assert_eq!(baggage(&format!("{bad},ok=1")), [member("ok", "1", "")], "{bad:?}");
        }
    }

    #[test]
    fn a_property_never_becomes_a_member() {
        assert_eq!(round_trip("a=1;p=%2Cadmin=1"), "a=1;p=%2Cadmin=1");
        let smuggled = Baggage::from_iter([KeyValueMetadata::new("a", "1", "p,admin=1")]);
        assert_eq!(serialize(&smuggled), "a=1");
    }

    #[test]
    fn a_value_is_injected_as_it_was_extracted() {
        for value in ["100%25", "%C3%BC", "%2C%3B%22%5C", "a=b=c"] {
            let header = format!("k={value}");
            assert_eq!(round_trip(&header), header);
        }
        assert_eq!(baggage("k=%ff"), [member("k", "\u{fffd}", "")]);
        // Only what needs it is encoded.
        assert_eq!(round_trip("k=a%3Db"), "k=a=b");
    }

    #[test]
    fn line_ends_in_a_value_are_encoded() {
        let injected = Baggage::from_iter([KeyValueMetadata::new("a", "1\r\nx: y", "")]);
        assert_eq!(serialize(&injected), "a=1%0D%0Ax:%20y");
    }

    #[test]
    fn the_limits_hold_for_extraction_and_injection() {
        let many: Vec<String> = (0..100).map(|n| format!("k{n}=1")).collect();
        assert_eq!(baggage(&many.join(",")).len(), MAX_MEMBERS);
        assert!(baggage(&format!("a={}", "x".repeat(MAX_BYTES))).is_empty());
        let wide = Baggage::from_iter([
            KeyValueMetadata::new("a", "ü".repeat(2_000), ""),
            KeyValueMetadata::new("b", "1", ""),
        ]);
        assert_eq!(serialize(&wide), "b=1");
    }
}
