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

/// A text without the credentials that a URL may hold before its `@` and behind its `?` or `#`, percent-encoded or not.
/// Where an `@` stands behind one of the others, nobody knows which of them is part of a password.
fn without_credentials(text: &str) -> String {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let (scheme, rest) = match text.find("://").map(|at| text.split_at(at)) {
        Some((scheme, _)) if is_scheme(scheme) => text.split_at(scheme.len() + "://".len()),
        _ => ("", text),
    };
    let (masked, shown) = match marks(rest, MARKS_OF_USERS).last() {
        Some((at, _)) if marks(rest, MARKS_OF_QUERIES).next().is_some_and(|(first, _)| first < at) => {
            return format!("{scheme}{MASK}");
        }
        Some((at, mark)) => (format!("{MASK}{mark}"), rest.get(at + mark.len()..).unwrap_or_default()),
        None => (String::new(), rest),
    };
    let cut = marks(shown, MARKS_OF_QUERIES).next();
    let (shown, query) = match cut {
        Some((at, mark)) => (shown.get(..at).unwrap_or_default(), format!("{mark}{MASK}")),
        None => (shown, String::new()),
    };
    format!("{scheme}{masked}{shown}{query}")
}

const MARKS_OF_USERS: &[&str] = &["@", "%40"];
const MARKS_OF_QUERIES: &[&str] = &["?", "#", "%3F", "%3f", "%23"];

/// Where these marks stand in a text, from its beginning to its end.
fn marks<'a>(text: &'a str, marks: &'static [&'static str]) -> impl Iterator<Item = (usize, &'a str)> {
    text.char_indices().filter_map(move |(at, _)| {
        let mark = marks.iter().find(|mark| text.get(at..).is_some_and(|rest| rest.starts_with(**mark)))?;
        Some((at, *mark))
    })
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
            ("http://u:p@w@h?x=y", "http://[REDACTED]@h?[REDACTED]"),
            ("http://h#token=pw", "http://h#[REDACTED]"),
            ("http://h/p#token=pw?x", "http://h/p#[REDACTED]"),
            // The `@` may be part of the query, or all before it part of a password.
            ("http://user:pw?x@h:4317", "http://[REDACTED]"),
            ("http://user:pw#x@h:4317", "http://[REDACTED]"),
            ("http://h?token=a@pw", "http://[REDACTED]"),
            ("user:pw?x@h", "[REDACTED]"),
            ("http://user:pa@pw@h", "http://[REDACTED]@h"),
            ("http://user:pa/pw@h/v1", "http://[REDACTED]@h/v1"),
            ("http://user%3Apw%40h:1", "http://[REDACTED]%40h:1"),
            ("http://user:pw%40pw@h", "http://[REDACTED]@h"),
            ("http%3A%2F%2Fuser%3Apw@h", "[REDACTED]@h"),
            ("http://h%3Ftoken=pw", "http://h%3F[REDACTED]"),
            ("http://h%23token=pw", "http://h%23[REDACTED]"),
            ("user:pw://pw@h", "[REDACTED]@h"),
            ("://user:pw@h", "[REDACTED]@h"),
            ("user:pé@h", "[REDACTED]@h"),
            ("http://h:1", "http://h:1"),
            ("grpc+tls://h:1", "grpc+tls://h:1"),
            ("info,my_crate=debug", "info,my_crate=debug"),
        ] {
            assert_eq!(without_credentials(value), shown, "{value}");
            assert!(!without_credentials(value).contains("pw"), "{value}");
        }
    }
}
