//! Texts of variables as values. Each error lists the allowed values.

use crate::redact::Secret;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A value out of a closed list.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)], text: &str) -> Result<T, String> {
    find(choices, text).ok_or_else(|| format!("use one of {}", names(choices)))
}

/// Values out of a closed list with commas between them; `none` alone is the empty list.
pub(super) fn some_of<T: Copy>(choices: &[(&str, T)], text: &str) -> Result<Vec<T>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let found: Option<_> = text.split(',').map(|name| find(choices, name.trim())).collect();
    found.ok_or_else(|| format!("use {} or none", names(choices)))
}

/// The text that [`one_of`] reads as this value.
pub(super) fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: &T) -> &'static str {
    choices.iter().find(|(_, choice)| choice == value).map_or("", |(name, _)| name)
}

/// The text that [`some_of`] reads as these values.
pub(super) fn names_of<T: PartialEq>(choices: &[(&'static str, T)], values: &[T]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    values.iter().map(|value| name_of(choices, value)).collect::<Vec<_>>().join(",")
}

fn find<T: Copy>(choices: &[(&str, T)], name: &str) -> Option<T> {
    choices.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice)
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    let (yes, no) = (text.eq_ignore_ascii_case("true"), text.eq_ignore_ascii_case("false"));
    (yes || no).then_some(yes).ok_or_else(|| "use true or false".to_owned())
}

/// A whole number within bounds.
pub(super) fn whole<T: FromStr + PartialOrd + Display>(text: &str, bounds: &RangeInclusive<T>) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("use a whole number from {} to {}", bounds.start(), bounds.end()))
}

/// A time in whole milliseconds within bounds.
pub(super) fn milliseconds(text: &str, bounds: &RangeInclusive<u64>) -> Result<Duration, String> {
    whole(text, bounds).map(Duration::from_millis)
}

/// Whether a time from code is within the bounds of [`milliseconds`].
pub(super) fn check_milliseconds(time: Duration, bounds: &RangeInclusive<u64>) -> Result<(), String> {
    let fits = u64::try_from(time.as_millis()).is_ok_and(|time| bounds.contains(&time));
    fits.then_some(()).ok_or_else(|| format!("use a whole number from {} to {}", bounds.start(), bounds.end()))
}

pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().unwrap_or(f64::NAN);
    check_ratio(ratio).map(|()| ratio)
}

/// Whether a ratio from code is one.
pub(super) fn check_ratio(ratio: f64) -> Result<(), String> {
    (0.0..=1.0).contains(&ratio).then_some(()).ok_or_else(|| "use a number from 0.0 to 1.0".to_owned())
}

/// An OTLP endpoint, without a slash at its end.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").ok_or(
        "use http://host:port; TLS (https://) is not supported yet: send to a collector on this host that forwards \
         over TLS",
    )?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("put no user name or password in it; use OTEL_EXPORTER_OTLP_HEADERS for credentials".to_owned());
    }
    let port_fits =
        authority.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']') || port.parse::<u16>().is_ok());
    let is_plain = !authority.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '?' || c == '#');
    (port_fits && is_plain)
        .then(|| text.trim_end_matches('/').to_owned())
        .ok_or_else(|| "use http://host:port, as in http://127.0.0.1:4317".to_owned())
}

/// Resource attributes as `key=value` pairs.
pub(super) fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    pairs(text).ok_or_else(|| "use key=value pairs with commas between them, as in team=wallet,region=eu".to_owned())
}

/// Request headers as `name=value` pairs.
pub(super) fn headers(text: &str) -> Result<Vec<(String, Secret<String>)>, String> {
    let pairs = pairs(text).ok_or(HEADERS_ALLOWED)?;
    let headers: Vec<_> = pairs.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    check_headers(&headers).map(|()| headers)
}

/// Whether headers from code or environment can be sent.
pub(super) fn check_headers(headers: &[(String, Secret<String>)]) -> Result<(), String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_value = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let usable = headers.iter().all(|(name, value)| is_name(name) && is_value(value.expose()));
    usable.then_some(()).ok_or_else(|| HEADERS_ALLOWED.to_owned())
}

const HEADERS_ALLOWED: &str =
    "use name=value pairs with commas between them; names of letters, digits, - and _, values of printable ASCII";

/// `key=value` pairs with commas between them, percent-decoded; `None` when the text is not of that form.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
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
