//! The form of one setting: its variables, its default, and how a value is read and shown.

use super::parse::Parsed;
use crate::redact::{MASK, truncate};

/// One setting. All of them stand in the [table](super::table).
pub(super) struct Setting<T> {
    /// Its name in the start-up line.
    pub(super) key: &'static str,
    /// The variables that set it: the first one that is not empty counts, so a signal's own stands before the common
    /// one. Without a variable only code sets it.
    pub(super) variables: &'static [&'static str],
    /// The value that is in force when neither code nor environment sets one.
    pub(super) default: fn() -> T,
    /// Reads a text from code or environment; a refusal lists the allowed values.
    pub(super) parse: fn(&str) -> Parsed<T>,
    pub(super) show: Show<T>,
}

/// How a value stands in the start-up line and in errors.
pub(super) enum Show<T> {
    /// As text, in the form in which a variable would set it.
    Plain(fn(&T) -> String),
    /// Masked in both.
    Secret,
    /// Not in the start-up line.
    Unreported,
}

impl<T> Setting<T> {
    /// The value as the start-up line shows it; `None` when it is left out.
    pub(super) fn reported(&self, value: &T) -> Option<String> {
        match self.show {
            Show::Plain(show) => Some(show(value)),
            Show::Secret => Some(MASK.to_owned()),
            Show::Unreported => None,
        }
    }

    /// A text that `parse` refused, as an error or a warning shows it.
    pub(super) fn refused(&self, text: &str) -> String {
        match self.show {
            Show::Plain(_) | Show::Unreported => shown(text),
            Show::Secret => MASK.to_owned(),
        }
    }
}

/// The longest text of a variable in errors and warnings, in bytes.
const SHOWN: usize = 256;

/// The text of a variable as errors and warnings show it: bounded, and without credentials.
pub(super) fn shown(text: &str) -> String {
    truncate(&without_credentials(text), SHOWN).to_owned()
}

/// A text without the credentials that a URL may hold before its `@` and behind its `?`.
fn without_credentials(text: &str) -> String {
    let (text, query) = match text.split_once('?') {
        Some((text, _)) => (text, format!("?{MASK}")),
        None => (text, String::new()),
    };
    let Some((before, host)) = text.rsplit_once('@') else {
        return format!("{text}{query}");
    };
    let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}{MASK}@{host}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_of_a_url_is_shown() {
        for (value, shown) in [
            ("http://user:pw@h:1/p", "http://[REDACTED]@h:1/p"),
            ("user:pw@h:1", "[REDACTED]@h:1"),
            ("http://h:1?token=pw", "http://h:1?[REDACTED]"),
            ("http://u:p@w@h?x=y@z", "http://[REDACTED]@h?[REDACTED]"),
            ("http://h:1", "http://h:1"),
        ] {
            assert_eq!(without_credentials(value), shown);
        }
    }
}
