//! Keeps secrets and overlong values from leaving the process.
//!
//! A signal asks [`Names::class_of`] once per call site what a name says, and gives each value to [`Redaction::scrub`]
//! (or, if it is written in parts, to [`Redaction::scrub_display`]) before it escapes or joins it. The values of one
//! record also go to a [`Phrase`], which finds a recovery phrase that is spread over them. What was masked is in
//! [`Counts`].

#![allow(dead_code, unused_imports, reason = "the signals are wired to the scanner one after the other")]

mod assignments;
mod bytes;
mod emails;
mod encodings;
mod keys;
mod kind;
mod numbers;
mod phrase;
mod scan;
mod scrub;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

pub(crate) use keys::{KeyClass, Names};
pub(crate) use kind::{Counts, Kind};
pub(crate) use phrase::Phrase;
pub(crate) use scrub::Redaction;

use crate::caught::caught;
use std::borrow::Cow;
use std::fmt;
use zeroize::Zeroize;

/// The longest value that leaves the process, in bytes; longer ones are [truncated](truncate).
pub(crate) const VALUE_LIMIT: usize = 8 * 1024;

/// The longest prefix of at most `limit` bytes that ends at a character boundary.
pub(crate) fn truncate(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The text, cut to [`VALUE_LIMIT`]. A value whose formatting fails keeps the text written so far; one whose formatting
/// panics also gets a mark.
pub(crate) fn bounded(arguments: fmt::Arguments<'_>) -> String {
    let mut written = String::new();
    write_bounded(&mut written, VALUE_LIMIT, arguments);
    written
}

/// The same, as the content of `buffer`, cut to `limit` bytes.
pub(crate) fn write_bounded(buffer: &mut String, limit: usize, arguments: fmt::Arguments<'_>) {
    struct Bounded<'buffer>(&'buffer mut String, usize);

    impl fmt::Write for Bounded<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let left = self.1.saturating_sub(self.0.len());
            let kept = truncate(text, left);
            self.0.push_str(kept);
            // Stops the formatting: a value of several megabytes must not take its time.
            if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    buffer.clear();
    let mut written = Bounded(buffer, limit);
    // A formatter's error only says that it has stopped.
    if caught(|| fmt::write(&mut written, arguments).is_ok()).is_none() {
        buffer.truncate(truncate(buffer, limit.saturating_sub(PANICKED.len())).len());
        buffer.push_str(PANICKED);
    }
}

/// The text without the user, the query and the fragment of each address in it (`scheme://user@host/path?query`), where
/// credentials stand. An address ends at white space, at a quotation mark and at `<`, `>`.
pub(crate) fn without_credentials(text: &str) -> Cow<'_, str> {
    const SCHEME: &str = "://";
    if !text.contains(SCHEME) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(SCHEME) {
        kept.push_str(before);
        kept.push_str(SCHEME);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '`' | '<' | '>');
        let (address, behind) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let address = without_user(address);
        let shown = address.split(['?', '#']).next().unwrap_or_default();
        // A sentence goes on behind the address: `(https://host/?query)`.
        let closing = address.trim_end_matches([')', ']', '}', ',', ';', '.', ':', '\'', '\\']);
        let closing = if shown.len() < address.len() { address.get(closing.len().max(shown.len())..) } else { None };
        // What looks like one more address inside of this one may have a user too.
        let mut parts = shown.split(SCHEME);
        kept.push_str(parts.next().unwrap_or_default());
        for part in parts {
            kept.push_str(SCHEME);
            kept.push_str(without_user(part));
        }
        kept.push_str(closing.unwrap_or_default());
        rest = behind;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// An address behind its scheme, without the user. What stands behind the first `:` and is no port is a password, which
/// may contain anything.
fn without_user(address: &str) -> &str {
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority.split_once(':').map(|(_, port)| port);
    let has_password =
        !authority.starts_with('[') && port.is_some_and(|port| port.contains(|c: char| !c.is_ascii_digit()));
    let searched = if has_password { address } else { authority };
    searched.rfind('@').and_then(|at| address.get(at + 1..)).unwrap_or(address)
}

/// Shown in place of a value that panicked when it was read or formatted.
pub(crate) const PANICKED: &str = "<panicked>";

/// Shown in place of a secret.
pub(crate) const MASK: &str = "[REDACTED]";

/// How a mask that names its [`Kind`] begins.
const MARK: &str = "[REDACTED:";

/// A value that can be used but not printed: `Debug` and `Display` write a mask, and the memory is cleared on drop.
///
/// ```
/// use ironcore_telemetry::Secret;
///
/// let mnemonic = Secret::new(String::from("abandon ability able"));
/// assert_eq!(format!("{mnemonic} {mnemonic:?}"), "[REDACTED] [REDACTED]");
/// assert_eq!(mnemonic.expose().split(' ').count(), 3);
/// ```
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Review each call.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Secret<T> {
    /// The value itself, to be filled.
    pub(crate) const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
