//! Addresses of electronic mail.

use super::bytes::{at, end_of, start_of};
use super::kind::Kind;
use super::scan::Found;

/// Adds the addresses that stand apart from the secrets, and keeps the order.
pub(super) fn add_to(secrets: &mut Vec<Found>, text: &[u8]) {
    let mut found = Vec::new();
    // Between two secrets.
    let mut from = 0;
    for secret in secrets.iter() {
        addresses(text, from, secret.place.start, &mut found);
        from = secret.place.end;
    }
    addresses(text, from, text.len(), &mut found);
    secrets.append(&mut found);
    secrets.sort_by_key(|secret| secret.place.start);
}

/// The addresses from `from` to `to`.
fn addresses(text: &[u8], mut from: usize, to: usize, found: &mut Vec<Found>) {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'+' | b'-' | b'.' | b'_');
    let text = text.get(..to).unwrap_or_default();
    while let Some(sign) = text.iter().skip(from).position(|byte| *byte == b'@').map(|place| from + place) {
        let start = start_of(text, sign, is_local).max(from);
        let domain = end_of(text, sign + 1, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let end = start_of(text, domain, |byte| matches!(byte, b'-' | b'.')).max(sign + 1);
        let labels = text.get(sign + 1..end).unwrap_or_default();
        from = sign + 1;
        if start < sign && labels.contains(&b'.') && at(labels, 0).is_ascii_alphanumeric() {
            found.push(Found { place: start..end, kind: Kind::Email });
            from = end;
        }
    }
}
