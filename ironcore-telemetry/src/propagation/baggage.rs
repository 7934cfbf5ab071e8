//! `baggage`, as the W3C recommendation has it (<https://www.w3.org/TR/baggage/>), strictly.
//!
//! A member that is not valid is left out alone. Properties are handed on as they were read and never decoded: the SDK's
//! own propagator decodes them and writes them raw, so that `a=1;b=%2Cadmin=1` comes out as a second member.

use super::trimmed;
use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

const BAGGAGE: &str = "baggage";

/// What every implementation has to hand on, and no more: members, and bytes of all of them.
const MEMBERS: usize = 64;
const LIMIT: usize = 8192;

/// The propagator of `OTEL_PROPAGATORS=baggage`.
#[derive(Debug)]
pub(crate) struct BaggagePropagator;

impl TextMapPropagator for BaggagePropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let header = written(context.baggage());
        if !header.is_empty() {
            injector.set(BAGGAGE, header);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some(lines) = extractor.get_all(BAGGAGE) else {
            return context.clone();
        };
        let members = read(&lines);
        if members.is_empty() {
            return context.clone();
        }
        context.with_baggage(Baggage::from_iter(members))
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [BAGGAGE.to_owned()]);
        FieldIter::new(FIELDS.as_slice())
    }
}

/// The valid members of all lines, as far as they are within the limits. Nothing after the limit is parsed.
fn read(lines: &[&str]) -> Vec<KeyValueMetadata> {
    let mut members = Vec::new();
    let mut left = LIMIT;
    for line in lines {
        // A member that is cut would be another one.
        let Some(rest) = left.checked_sub(line.len()) else {
            break;
        };
        left = rest;
        for member in line.split(',') {
            if members.len() == MEMBERS {
                return members;
            }
            members.extend(parse(member));
        }
    }
    members
}

/// `key=value;property;key=value`.
fn parse(member: &str) -> Option<KeyValueMetadata> {
    let (pair, properties) = match member.split_once(';') {
        Some((pair, properties)) if are_properties(properties) => (pair, trimmed(properties)),
        Some(_) => return None,
        None => (member, ""),
    };
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (trimmed(key), trimmed(value));
    if !is_token(key) || !value.bytes().all(is_octet) {
        return None;
    }
    Some(KeyValueMetadata::new(key.to_owned(), decoded(value)?.into_owned(), properties))
}

/// All members of a baggage within the limits, in the order of their names so that the header is the same each time.
fn written(baggage: &Baggage) -> String {
    let mut members: Vec<_> = baggage.iter().collect();
    members.sort_unstable_by(|one, other| one.0.as_str().cmp(other.0.as_str()));
    let mut header = String::new();
    for (key, (value, properties)) in members.into_iter().take(MEMBERS) {
        if !is_token(key.as_str()) {
            continue;
        }
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        header.push_str(key.as_str());
        header.push('=');
        encode(value.as_str(), &mut header);
        // Whoever made them: what is no property could be read as a member.
        let properties = properties.as_str();
        if !properties.is_empty() && are_properties(properties) {
            header.push(';');
            header.push_str(properties);
        }
        if header.len() > LIMIT {
            // Whole members only; a smaller one may still have room.
            header.truncate(before);
        }
    }
    header
}

fn are_properties(properties: &str) -> bool {
    properties.split(';').all(|property| {
        let (key, value) = property.split_once('=').unwrap_or((property, ""));
        is_token(trimmed(key)) && trimmed(value).bytes().all(is_octet)
    })
}

/// A token of HTTP (RFC 7230).
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

/// What may stand in a value as it is; `%` begins an encoded byte.
fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// Without its percent encoding; `None` if that is broken. What is no text becomes U+FFFD, as the recommendation asks.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('%') {
        return Some(Cow::Borrowed(value));
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn encode(value: &str, header: &mut String) {
    for byte in value.bytes() {
        if is_octet(byte) && byte != b'%' {
            header.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
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
    fn members_are_read_with_their_white_space_encoding_and_properties() {
        assert_eq!(
            baggage("a = 1 ,b=x%20y; p ; q=2 ,c="),
            [member("a", "1", ""), member("b", "x y", "p ; q=2"), member("c", "", "")]
        );
    }

    #[test]
    fn a_member_that_is_not_valid_is_left_out_alone() {
        for bad in ["", "=1", "a", "a b=1", "a=b c", "a=\"1\"", "a=1;", "a=1;p q", "a=%zz", "a=%f", "ü=1"] {
            assert_eq!(baggage(&format!("{bad},ok=1")), [member("ok", "1", "")], "{bad:?}");
        }
    }

    #[test]
    fn no_property_can_become_a_member() {
        assert_eq!(round_trip("a=1;p=%2Cadmin=1"), "a=1;p=%2Cadmin=1");
        let smuggled = Baggage::from_iter([KeyValueMetadata::new("a", "1", "p,admin=1")]);
        assert_eq!(written(&smuggled), "a=1");
    }

    #[test]
    fn a_value_comes_out_as_it_came_in() {
        for value in ["100%25", "%C3%BC", "%2C%3B%22%5C", "a=b=c"] {
            let header = format!("k={value}");
            assert_eq!(round_trip(&header), header);
        }
        assert_eq!(baggage("k=%ff"), [member("k", "\u{fffd}", "")]);
        // What need not be encoded is not.
        assert_eq!(round_trip("k=a%3Db"), "k=a=b");
    }

    #[test]
    fn line_ends_in_a_value_cannot_end_a_header() {
        let injected = Baggage::from_iter([KeyValueMetadata::new("a", "1\r\nx: y", "")]);
        assert_eq!(written(&injected), "a=1%0D%0Ax:%20y");
    }

    #[test]
    fn there_are_limits_in_and_out() {
        let many: Vec<String> = (0..100).map(|n| format!("k{n}=1")).collect();
        assert_eq!(baggage(&many.join(",")).len(), MEMBERS);
        assert!(baggage(&format!("a={}", "x".repeat(LIMIT))).is_empty());
        let wide = Baggage::from_iter([
            KeyValueMetadata::new("a", "ü".repeat(2_000), ""),
            KeyValueMetadata::new("b", "1", ""),
        ]);
        assert_eq!(written(&wide), "b=1");
    }
}
