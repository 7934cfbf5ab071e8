//! What must not leave the process: secrets, and more of a value than anyone reads.

use std::fmt;
use zeroize::Zeroize;

/// Bytes of a value that leave; what follows is cut off at a character boundary.
pub(crate) const VALUE_LIMIT: usize = 8 * 1024;

/// The beginning of a text, so many bytes at most, up to a character boundary.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// What is shown in place of a secret.
pub(crate) const MASK: &str = "[REDACTED]";

/// A value that can be used but not shown: `Debug` and `Display` print a mask, and the memory is cleared on drop.
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
    /// Takes a value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Each call is a place to review.
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
