//! Addresses of electronic mail.

use super::bytes::{at, end_of, start_of};
use super::kind::Kind;
use super::scan::Found;

/// Adds the addresses that stand apart from the secrets, and keeps the order.
pub(super) fn add_to(secrets: &mut Vec<Found>, text: &[u8]) {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let mut from = 0;
    for (sign, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'@') {
        let start = start_of(text, sign, is_local).max(from);
        let domain = end_of(text, sign + 1, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let end = start_of(text, domain, |byte| matches!(byte, b'-' | b'.'));
        let labels = text.get(sign + 1..end).unwrap_or_default();
        let is_domain = labels.contains(&b'.') && at(labels, 0).is_ascii_alphanumeric();
        let is_apart = || secrets.iter().all(|secret| secret.place.end <= start || secret.place.start >= end);
        if start < sign && is_domain && is_apart() {
            secrets.push(Found { place: start..end, kind: Kind::Email });
            from = end;
        }
    }
    secrets.sort_by_key(|secret| secret.place.start);
}
