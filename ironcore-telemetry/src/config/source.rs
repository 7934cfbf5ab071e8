//! Precedence: code, then environment, then default; with a record of what came from where.

use crate::error::InitError;
use crate::redact::MASK;
use std::time::Duration;

/// Reads settings by precedence and keeps a record for the start-up line.
pub(super) struct Source<'env> {
    env: &'env dyn Fn(&str) -> Option<String>,
    record: Vec<String>,
}

/// A setting that only the environment and the default know.
pub(super) const NOT_IN_CODE: Option<(&'static str, String)> = None;

impl<'env> Source<'env> {
    pub(super) fn new(env: &'env dyn Fn(&str) -> Option<String>) -> Self {
        Self { env, record: Vec::new() }
    }

    /// The first variable of these that is set and not empty, as OpenTelemetry specifies it.
    pub(super) fn variable(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let value = (self.env)(name)?;
            (!value.trim().is_empty()).then(|| (*name, value.trim().to_owned()))
        })
    }

    /// The setting's value: from code (with the name of the `Config` method), else from the first of the variables
    /// that is set, else the default. `parse` answers with what is allowed when it cannot use a value.
    pub(super) fn pick<T>(
        &mut self,
        setting: &str,
        code: Option<(&'static str, String)>,
        variables: &[&'static str],
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, InitError> {
        let from_code = code.map(|(method, value)| {
            // A variable that was read before counts as what it is.
            let origin = if method.starts_with("OTEL_") { method } else { "code" };
            (origin, method, value)
        });
        let from_environment = || self.variable(variables).map(|(name, value)| (name, name, value));
        let (origin, name, value) =
            from_code.or_else(from_environment).unwrap_or(("default", "the default", default.to_owned()));
        let parsed = parse(&value).map_err(|allowed| InitError::invalid(name, without_credentials(&value), allowed))?;
        self.note(setting, &value, origin);
        Ok(parsed)
    }

    /// Records that a secret was set, never its value.
    pub(super) fn note_secret(&mut self, setting: &str, origin: &str) {
        self.note(setting, MASK, origin);
    }

    /// What is in force and where each value came from, in one line.
    pub(super) fn report(self) -> String {
        self.record.join(" ")
    }

    pub(super) fn note(&mut self, setting: &str, value: &str, origin: &str) {
        self.record.push(format!("{setting}={value}({origin})"));
    }
}

/// A value that is about to be shown, without the credentials that a URL may hold before its `@` and behind its `?`.
fn without_credentials(value: &str) -> String {
    let (value, query) = match value.split_once('?') {
        Some((value, _)) => (value, format!("?{MASK}")),
        None => (value, String::new()),
    };
    let Some((before, host)) = value.rsplit_once('@') else {
        return format!("{value}{query}");
    };
    let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}{MASK}@{host}{query}")
}

/// A value out of a closed list.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)], value: &str) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice);
    found.ok_or_else(|| format!("use one of {}", names(choices)))
}

/// The names of a closed list, for a message.
pub(super) fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// A whole number within bounds.
pub(super) fn whole(value: &str, least: u64, most: u64) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("use a whole number from {least} to {most}"))
}

/// A time in milliseconds, of at least `least` and at most an hour: nothing of telemetry takes longer.
pub(super) fn milliseconds(value: &str, least: u64) -> Result<Duration, String> {
    whole(value, least, 3_600_000).map(Duration::from_millis)
}

/// `key=value` pairs with commas between them, percent-decoded; `None` when the text is not of that form.
pub(super) fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = percent_decoded(key.trim())?;
        (!key.is_empty()).then_some((key, percent_decoded(value.trim())?))
    };
    list.split(',').filter(|entry| !entry.trim().is_empty()).map(pair).collect()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
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
