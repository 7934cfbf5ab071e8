//! HTTP methods as a closed set, and versions.

use crate::names::{OTHER, attribute};
use http::{Method, StatusCode, Version};
use opentelemetry::KeyValue;
use std::borrow::Cow;

/// The ten methods that are known, and what every other one is called, so that no caller can make series.
pub(crate) const METHODS: [&str; 11] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY", OTHER];

/// A place in [`METHODS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodIndex(usize);

impl MethodIndex {
    /// The label's value.
    pub(crate) fn label(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(OTHER)
    }

    /// How a span's name begins.
    pub(crate) fn shown(self) -> &'static str {
        if self.is_other() { "HTTP" } else { self.label() }
    }

    pub(crate) const fn is_other(self) -> bool {
        self.0 + 1 >= METHODS.len()
    }

    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// Where a method stands.
pub(crate) fn method_index(method: &Method) -> MethodIndex {
    let place = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
    MethodIndex(place)
}

/// What a status that HTTP does not know is counted as.
const OTHER_STATUS: u16 = 1_000;

/// A status of those that HTTP knows, and nginx' 499; every other is one, so that no peer can make series.
pub(crate) fn closed_status(status: u16) -> u16 {
    let known = StatusCode::from_u16(status).is_ok_and(|code| code.canonical_reason().is_some());
    if known || status == 499 { status } else { OTHER_STATUS }
}

/// Whether it is what unknown ones are counted as.
pub(crate) const fn is_other_status(status: u16) -> bool {
    status == OTHER_STATUS
}

/// A status as an attribute; none while there is no answer.
pub(crate) fn status_attribute(status: u16) -> Option<KeyValue> {
    (status != 0).then(|| KeyValue::new(attribute::HTTP_STATUS, i64::from(status)))
}

/// How a status is called in a label.
pub(crate) fn status_label(status: u16) -> Cow<'static, str> {
    if is_other_status(status) { OTHER.into() } else { status.to_string().into() }
}

/// As the semantic conventions write it.
pub(crate) fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
