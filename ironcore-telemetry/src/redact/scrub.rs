//! Masks the secrets of a value.

use super::assignments::says_nothing;
use super::keys::{KeyClass, Names};
use super::kind::{Counts, Kind};
use super::{emails, scan, truncate, write_bounded};
use crate::caught::caught;
use std::borrow::Cow;
use std::fmt;

/// So many bytes behind the limit are scanned too: a secret that the limit would cut must be known as one. The longest
/// secret that is known by its end has 24 words.
const MARGIN: usize = 512;

/// Scans of one text, at most. The second nearly always finds nothing.
const ROUNDS: usize = 4;

const LONGEST_MASK: usize = Kind::UrlCredentials.mask().len();

/// What is masked beside what is always masked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redaction {
    pub(crate) names: Names,
    /// Whether addresses of electronic mail are masked.
    pub(crate) emails: bool,
}

impl Redaction {
    /// The value, its secrets masked and cut to `limit` bytes. Nothing is allocated if nothing was masked.
    ///
    /// A value is scanned once, before it is escaped or joined with others; a second scan changes nothing.
    pub(crate) fn scrub<'text>(
        &self,
        class: KeyClass,
        text: &'text str,
        limit: usize,
        counts: &mut Counts,
    ) -> Cow<'text, str> {
        or_dropped(limit, counts, |counts| self.masked(class, text, limit, counts))
    }

    /// The same of a value that is written in parts: `buffer` gets what is written, and no more than can be shown.
    pub(crate) fn scrub_display<'buffer>(
        &self,
        class: KeyClass,
        value: fmt::Arguments<'_>,
        limit: usize,
        buffer: &'buffer mut String,
        counts: &mut Counts,
    ) -> Cow<'buffer, str> {
        if let Some(text) = value.as_str() {
            return self.scrub(class, text, limit, counts);
        }
        write_bounded(buffer, limit.saturating_add(MARGIN), value);
        self.scrub(class, buffer, limit, counts)
    }

    fn masked<'text>(&self, class: KeyClass, text: &'text str, limit: usize, counts: &mut Counts) -> Cow<'text, str> {
        let whole = text;
        let text = truncate(text, limit.saturating_add(MARGIN));
        let named = match class {
            KeyClass::Secret => Some(Kind::Named),
            // A MAC of a network card is shorter than one of a keystore.
            KeyClass::Keystore if text.len() >= 64 => Some(Kind::Keystore),
            _ => None,
        };
        if let Some(kind) = named.filter(|_| !says_nothing(text.as_bytes())) {
            counts.add(kind);
            return Cow::Borrowed(truncate(kind.mask(), limit));
        }
        if !scan::may_hold_secret(text.as_bytes()) {
            return Cow::Borrowed(truncate(text, limit));
        }
        let Some(mut shown) = self.without_secrets(class, text, counts) else {
            return Cow::Borrowed(truncate(whole, limit));
        };
        // What stands beside a mask may only now stand alone.
        for _ in 1..ROUNDS {
            match self.without_secrets(class, &shown, counts) {
                Some(again) => shown = again,
                None => break,
            }
        }
        shown.truncate(truncate(&shown, limit).len());
        Cow::Owned(shown)
    }

    /// The text with a mask in place of each secret; nothing if it has none.
    fn without_secrets(&self, class: KeyClass, text: &str, counts: &mut Counts) -> Option<String> {
        let mut secrets = scan::secrets(text.as_bytes(), class, &self.names);
        if self.emails {
            emails::add_to(&mut secrets, text.as_bytes());
        }
        if secrets.is_empty() {
            return None;
        }
        let mut shown = String::with_capacity(text.len() + secrets.len() * LONGEST_MASK);
        let mut from = 0;
        for secret in &secrets {
            shown.push_str(text.get(from..secret.place.start).unwrap_or_default());
            shown.push_str(secret.kind.mask());
            counts.add(secret.kind);
            from = secret.place.end;
        }
        shown.push_str(text.get(from..).unwrap_or_default());
        Some(shown)
    }
}

/// A scan that panics costs the value, never what stands around it.
fn or_dropped<'text>(
    limit: usize,
    counts: &mut Counts,
    mask: impl FnOnce(&mut Counts) -> Cow<'text, str>,
) -> Cow<'text, str> {
    caught(|| mask(counts)).unwrap_or_else(|| {
        counts.add(Kind::Unscanned);
        Cow::Borrowed(truncate(Kind::Unscanned.mask(), limit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_that_panics_drops_the_value_and_is_counted() {
        let mut counts = Counts::new();
        let shown = or_dropped(64, &mut counts, |_| panic!("a fault of the scan"));
        assert_eq!(shown, "[REDACTED:unscanned]");
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Kind::Unscanned, 1)]);
    }
}
