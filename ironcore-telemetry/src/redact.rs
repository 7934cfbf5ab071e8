//! Keeps secrets and overlong values from leaving the process.

use crate::caught::caught;
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
    struct Bounded(String);

    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let left = VALUE_LIMIT - self.0.len();
            let kept = truncate(text, left);
            self.0.push_str(kept);
            // Stops the formatting: a value of several megabytes must not take its time.
            if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let mut written = Bounded(String::new());
    // A formatter's error only says that it has stopped.
    if caught(|| fmt::write(&mut written, arguments).is_ok()).is_none() {
        written.0.truncate(truncate(&written.0, VALUE_LIMIT - PANICKED.len()).len());
        written.0.push_str(PANICKED);
    }
    written.0
}

/// Shown in place of a value that panicked when it was read or formatted.
pub(crate) const PANICKED: &str = "<panicked>";

/// Shown in place of a secret.
pub(crate) const MASK: &str = "[REDACTED]";

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
