//! HTTP as labels and attributes: methods and statuses as bounded sets, versions.

use super::ResultLabel;
use crate::names::{OTHER, attribute};
use ::http::{Method, StatusCode, Version};
use opentelemetry::KeyValue;
use std::borrow::Cow;

/// The values of the label `method`: ten methods, and one value for all others, so that no caller can make series.
pub(crate) const METHODS: [&str; 11] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY", OTHER];

/// A value of the label `method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodLabel(usize);

impl MethodLabel {
    /// The value for a method.
    pub(crate) fn of(method: &Method) -> Self {
        Self(METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1))
    }

    /// The value for the name of a method, if it has one of its own.
    fn named(name: &str) -> Option<Self> {
        METHODS.iter().position(|known| *known == name).map(Self).filter(|method| !method.is_other())
    }

    /// The value on `/metrics`.
    pub(crate) fn label(self) -> &'static str {
        METHODS.get(self.0).copied().unwrap_or(OTHER)
    }

    /// The first word of a span's name.
    pub(crate) fn span_name(self) -> &'static str {
        if self.is_other() { "HTTP" } else { self.label() }
    }

    /// Whether it stands for all other methods.
    pub(crate) const fn is_other(self) -> bool {
        self.0 + 1 >= METHODS.len()
    }

    /// Its place in [`METHODS`].
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// The method and the route of a declaration: `GET /wallets/{id}`; `None` if no request can be counted with them.
pub(crate) fn endpoint_of(declaration: &str) -> Option<(MethodLabel, &str)> {
    let (method, route) = declaration.split_once(' ')?;
    let is_segment = |segment: &str| {
        let parameter = match segment.split_once('{') {
            Some((_, rest)) => rest.split_once('}').filter(|(name, _)| !name.is_empty()).map(|(_, rest)| rest),
            None => Some(segment),
        };
        // What older routers wrote as `:id` and `*rest` matches nothing.
        !segment.starts_with([':', '*']) && parameter.is_some_and(|rest| !rest.contains(['{', '}']))
    };
    let is_char = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '?' | '#');
    let is_route = route.strip_prefix('/')?.split('/').all(is_segment) && route.chars().all(is_char);
    is_route.then_some((MethodLabel::named(method)?, route))
}

/// Nginx' status for a request whose caller closed the connection before the response.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A value of the label `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusLabel {
    /// One that HTTP knows, or 499.
    Known(u16),
    /// All others, so that no peer can make series.
    Other,
}

impl StatusLabel {
    /// The value for a status.
    #[inline]
    pub(crate) fn of(status: u16) -> Self {
        let known = StatusCode::from_u16(status).is_ok_and(|code| code.canonical_reason().is_some());
        if known || status == CLIENT_CLOSED_REQUEST { Self::Known(status) } else { Self::Other }
    }
}

impl ResultLabel for StatusLabel {
    fn label(self) -> Cow<'static, str> {
        match self {
            Self::Known(status) => status.to_string().into(),
            Self::Other => OTHER.into(),
        }
    }
}

/// A status as an attribute.
#[inline]
pub(crate) fn status_attribute(status: StatusCode) -> KeyValue {
    KeyValue::new(attribute::HTTP_STATUS, i64::from(status.as_u16()))
}

/// A version of HTTP, as the semantic conventions write it.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_a_method_and_a_route() {
        for (declaration, method, route) in [
            ("GET /", "GET", "/"),
            ("POST /api/v1/wallets/{id}/keys", "POST", "/api/v1/wallets/{id}/keys"),
            ("DELETE /files/{*path}", "DELETE", "/files/{*path}"),
            ("GET /v{version}.json", "GET", "/v{version}.json"),
            ("QUERY /_fallback/", "QUERY", "/_fallback/"),
        ] {
            let found = endpoint_of(declaration).map(|(method, route)| (method.label(), route));
            assert_eq!(found, Some((method, route)), "{declaration}");
        }
        for declaration in [
            "",
            "/wallets",
            "GET",
            "GET ",
            "GET wallets",
            "get /wallets",
            "BREW /pot",
            "_OTHER /wallets",
            "GET  /wallets",
            "GET /wallets ",
            "GET,POST /wallets",
            "GET /wallets?id=1",
            "GET /wallets/:id",
            "GET /files/*path",
            "GET /wallets/{id",
            "GET /wallets/id}",
            "GET /wallets/{}",
            "GET /wallets/{a}{b}",
        ] {
            assert!(endpoint_of(declaration).is_none(), "{declaration}");
        }
    }
}
