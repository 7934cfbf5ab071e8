//! Texts of variables as values. Each refusal lists the allowed values. The names of closed lists are read without
//! regard to case, as OpenTelemetry specifies it.

use super::sampling::RemoteSampling;
use super::table;
use crate::redact::Secret;
use std::fmt::Display;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A value, or why its text cannot be used as it stands.
pub(super) type Parsed<T> = Result<T, Refused<T>>;

/// Why a text cannot be used as it stands.
#[derive(Debug)]
pub(super) struct Refused<T> {
    /// The allowed values.
    pub(super) allowed: String,
    /// What a list says without the entries that cannot be used.
    pub(super) rest: Option<T>,
}

impl<T> From<String> for Refused<T> {
    fn from(allowed: String) -> Self {
        Self { allowed, rest: None }
    }
}

impl<T> From<&str> for Refused<T> {
    fn from(allowed: &str) -> Self {
        allowed.to_owned().into()
    }
}

/// A value out of a closed list.
pub(super) fn one_of<T: Copy>(choices: &[(&str, T)], text: &str) -> Parsed<T> {
    find(choices, text).ok_or_else(|| format!("use one of {}", names(choices)).into())
}

/// Values out of a closed list with commas between them, each once; `none` and nothing else is the empty list.
pub(super) fn some_of<T: Copy + PartialEq>(choices: &[(&str, T)], text: &str) -> Parsed<Vec<T>> {
    let names_in_text = || text.split(',').map(str::trim).filter(|name| !name.is_empty());
    if names_in_text().next().is_some() && names_in_text().all(|name| name.eq_ignore_ascii_case("none")) {
        return Ok(Vec::new());
    }
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names_in_text() {
        match find(choices, name) {
            Some(choice) if known.contains(&choice) => {}
            Some(choice) => known.push(choice),
            None => unknown.push(name),
        }
    }
    if unknown.is_empty() && !known.is_empty() {
        return Ok(known);
    }
    let allowed = format!("use {} or none", names(choices));
    Err(Refused { allowed, rest: Some(known).filter(|known| !known.is_empty()) })
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
    choices.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, choice)| *choice)
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    one_of(&[("true", true), ("false", false)], text).map_err(|_| "use true or false".into())
}

/// A whole number within bounds.
pub(super) fn whole<T: FromStr + PartialOrd + Display>(text: &str, bounds: &RangeInclusive<T>) -> Parsed<T> {
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("use a whole number from {} to {}", bounds.start(), bounds.end()).into())
}

/// A time in whole milliseconds within bounds.
pub(super) fn milliseconds(text: &str, bounds: &RangeInclusive<u64>) -> Parsed<Duration> {
    whole(text, bounds).map(Duration::from_millis).map_err(|refused| refused.allowed.into())
}

/// Whether a time from code is within the bounds of [`milliseconds`].
pub(super) fn check_milliseconds(time: Duration, bounds: &RangeInclusive<u64>) -> Result<(), String> {
    let fits = u64::try_from(time.as_millis()).is_ok_and(|time| bounds.contains(&time));
    fits.then_some(()).ok_or_else(|| format!("use a whole number from {} to {}", bounds.start(), bounds.end()))
}

pub(super) fn ratio(text: &str) -> Parsed<f64> {
    let ratio = text.parse().unwrap_or(f64::NAN);
    check_ratio(ratio)?;
    Ok(ratio)
}

/// Whether a ratio from code is one.
pub(super) fn check_ratio(ratio: f64) -> Result<(), String> {
    (0.0..=1.0).contains(&ratio).then_some(()).ok_or_else(|| "use a number from 0.0 to 1.0".to_owned())
}

/// Whether a number of traces in a second from code is one.
pub(super) fn check_rate(rate: f64) -> Result<(), String> {
    (0.0..=1e6).contains(&rate).then_some(()).ok_or_else(|| "use a number from 0.0 to 1000000.0".to_owned())
}

/// Where to ask how to sample, how often, and how to sample before the first answer.
pub(super) fn remote_sampling(text: &str) -> Parsed<RemoteSampling> {
    let mut remote = (table::SAMPLER_REMOTE.default)();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (key, value) = entry.split_once('=').ok_or(REMOTE_SAMPLING_ALLOWED)?;
        let refused = |allowed: String| format!("{}: {allowed}", key.trim());
        match key.trim() {
            "endpoint" => remote.endpoint = sampling_endpoint(value.trim()).map_err(|error| refused(error.allowed))?,
            "pollingIntervalMs" => {
                remote.interval =
                    milliseconds(value.trim(), &table::INTERVALS).map_err(|error| refused(error.allowed))?;
            }
            "initialSamplingRate" => {
                remote.initial_ratio = ratio(value.trim()).map_err(|error| refused(error.allowed))?;
            }
            _ => return Err(REMOTE_SAMPLING_ALLOWED.into()),
        }
    }
    Ok(remote)
}

const REMOTE_SAMPLING_ALLOWED: &str =
    "use endpoint=http://host:5778/sampling,pollingIntervalMs=60000,initialSamplingRate=0.001, or some of these";

/// The specification has endpoints without a path; Jaeger and the collector serve the strategies under one.
fn sampling_endpoint(text: &str) -> Parsed<String> {
    const ALLOWED: &str = "use http://host:port/path, as in http://127.0.0.1:5778/sampling; TLS is not supported here";
    let endpoint = endpoint(text, ALLOWED)?;
    let Some((_, rest)) = endpoint.split_once("http://") else {
        return Err(ALLOWED.into());
    };
    Ok(if rest.contains('/') { endpoint } else { format!("{endpoint}/sampling") })
}

/// An OTLP endpoint for gRPC: as for HTTP, or a host and a port without a scheme.
pub(super) fn grpc_endpoint(text: &str) -> Parsed<String> {
    const ALLOWED: &str = "use http://host:port, https://host:port, unix:/path, or host:port for TLS (without TLS if \
                           OTEL_EXPORTER_OTLP_INSECURE=true), as in http://127.0.0.1:4317";
    let bare = text.trim_end_matches('/');
    // A name alone is rather a mistake than a host.
    if bare.contains(':') && !bare.contains('/') && is_authority(bare) && !is_socket(text) {
        return Ok(bare.to_owned());
    }
    endpoint(text, ALLOWED)
}

/// An OTLP endpoint for HTTP.
pub(super) fn http_endpoint(text: &str) -> Parsed<String> {
    endpoint(text, "use http://host:port, https://host:port or unix:/path, as in http://127.0.0.1:4318")
}

/// An endpoint with its scheme in lower case and without a slash at its end. What is accepted here is accepted by the
/// transports too.
fn endpoint(text: &str, allowed: &'static str) -> Parsed<String> {
    if is_socket(text) {
        let (_, path) = text.split_once(':').unwrap_or_default();
        let is_absolute = path.strip_prefix("//").unwrap_or(path).starts_with('/');
        return if is_absolute { Ok(format!("unix:{path}")) } else { Err(allowed.into()) };
    }
    let (scheme, rest) = text.split_once("://").ok_or(allowed)?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("put no user name or password in it; use OTEL_EXPORTER_OTLP_HEADERS for credentials".into());
    }
    let is_usable =
        matches!(scheme.as_str(), "http" | "https") && is_authority(authority) && path.bytes().all(is_of_path);
    is_usable.then(|| format!("{scheme}://{}", rest.trim_end_matches('/'))).ok_or_else(|| allowed.into())
}

/// Whether a text is the path of a socket of this machine.
fn is_socket(text: &str) -> bool {
    cfg!(unix) && text.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("unix"))
}

/// Whether a text is a host, a host and a port, or an IPv6 address in brackets with or without a port.
fn is_authority(text: &str) -> bool {
    let (is_host, port) = if let Some(rest) = text.strip_prefix('[') {
        let bracketed = rest.split_once(']');
        bracketed.map_or((false, ""), |(address, port)| (address.parse::<Ipv6Addr>().is_ok(), port))
    } else {
        let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!host.is_empty() && host.bytes().all(is_part), port)
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    is_host && is_port
}

fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&byte)
}

/// Resource attributes as `key=value` pairs.
pub(super) fn attributes(text: &str) -> Parsed<Vec<(String, String)>> {
    pairs(text).ok_or_else(|| "use key=value pairs with commas between them, as in team=wallet,region=eu".into())
}

/// Request headers as `name=value` pairs.
pub(super) fn headers(text: &str) -> Parsed<Vec<(String, Secret<String>)>> {
    let pairs = pairs(text).ok_or(HEADERS_ALLOWED)?;
    let headers: Vec<_> = pairs.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    check_headers(&headers)?;
    Ok(headers)
}

/// Whether headers from code or environment can be sent.
pub(super) fn check_headers(headers: &[(String, Secret<String>)]) -> Result<(), String> {
    let is_name = |name: &str| {
        // gRPC reads the values of names in `-bin` as binary.
        let is_text = !name.is_empty() && !name.to_ascii_lowercase().ends_with("-bin");
        is_text && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let is_value = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let usable = headers.iter().all(|(name, value)| is_name(name) && is_value(value.expose()));
    usable.then_some(()).ok_or_else(|| HEADERS_ALLOWED.to_owned())
}

const HEADERS_ALLOWED: &str = "use name=value pairs with commas between them; names of letters, digits, - and _, not in -bin; \
     values of printable ASCII";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_says_none_and_nothing_else_is_empty() {
        let choices = [("a", 1), ("b", 2)];
        for text in ["none", "NONE", "none,", ",none", "none,none", " none , None,"] {
            assert!(some_of(&choices, text).unwrap().is_empty(), "{text:?}");
        }
        for (text, rest) in
            [("", None), (",", None), ("none,c", None), ("none,b", Some(vec![2])), ("a,c", Some(vec![1]))]
        {
            assert_eq!(some_of(&choices, text).unwrap_err().rest, rest, "{text:?}");
        }
        assert_eq!(some_of(&choices, "b,a,b,").unwrap(), [2, 1]);
    }
}
