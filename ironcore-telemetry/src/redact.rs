//! Keeps secrets and overlong values from leaving the process.

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
