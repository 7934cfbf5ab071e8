//! What gRPC puts on the wire: paths, codes and deadlines.

use super::ResultLabel;
use http::{HeaderMap, StatusCode};
use std::borrow::Cow;
use std::time::Duration;

/// The status codes by number (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u16);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const CANCELLED: Self = Self(1);
    pub(crate) const UNKNOWN: Self = Self(2);
    pub(crate) const DEADLINE_EXCEEDED: Self = Self(4);
    const PERMISSION_DENIED: Self = Self(7);
    const UNIMPLEMENTED: Self = Self(12);
    pub(crate) const INTERNAL: Self = Self(13);
    pub(crate) const UNAVAILABLE: Self = Self(14);
    const DATA_LOSS: Self = Self(15);
    const UNAUTHENTICATED: Self = Self(16);

    /// The errors of a server, as the semantic conventions define them.
    pub(crate) const SERVER_ERRORS: [Self; 6] = [
        Self::UNKNOWN,
        Self::DEADLINE_EXCEEDED,
        Self::UNIMPLEMENTED,
        Self::INTERNAL,
        Self::UNAVAILABLE,
        Self::DATA_LOSS,
    ];

    /// The code in trailers, or in the headers of a response without a body. A value that is not a code counts as
    /// `UNKNOWN`.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let status = headers.get("grpc-status")?;
        Some(status.to_str().map_or(Self::UNKNOWN, Self::of_text))
    }

    /// The code of a number as text.
    pub(crate) fn of_text(text: &str) -> Self {
        let is_code = |number: &u16| usize::from(*number) < CODES.len();
        text.parse().ok().filter(is_code).map_or(Self::UNKNOWN, Self)
    }

    /// The code of a response that is not of gRPC
    /// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
    pub(crate) const fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 => Self::UNIMPLEMENTED,
            429 | 502..=504 => Self::UNAVAILABLE,
            _ => Self::UNKNOWN,
        }
    }

    /// The code of a status of tonic.
    pub(crate) fn of_tonic(code: tonic::Code) -> Self {
        u16::try_from(i32::from(code)).map_or(Self::UNKNOWN, Self)
    }

    /// Its name in the specification.
    pub(crate) fn name(self) -> &'static str {
        CODES.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }

    /// Whether it is an error of the server. To a client every code but `OK` is an error.
    pub(crate) fn is_server_error(self) -> bool {
        Self::SERVER_ERRORS.contains(&self)
    }
}

impl ResultLabel for Code {
    fn label(self) -> Cow<'static, str> {
        self.name().into()
    }
}

/// The longest path of a method, in bytes.
const MAX_PATH_BYTES: usize = 256;

/// The service and the method of a path `/package.Service/Method`; `None` if no method can have this path.
pub(crate) fn method_of(path: &str) -> Option<(&str, &str)> {
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    (path.len() <= MAX_PATH_BYTES && is_name(service) && is_name(method)).then_some((service, method))
}

/// The time that the caller waits: `grpc-timeout`, up to eight digits and a unit.
pub(crate) fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // An empty text is not a number.
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_method_can_have_is_rejected() {
        assert_eq!(method_of("/ironcore.swap.v1.Swap/Execute"), Some(("ironcore.swap.v1.Swap", "Execute")));
        for path in ["", "/", "/a", "/a/", "//b", "/a/b/c", "/a b/c", "/a/b?c", "a/b", "/ä/b"] {
            assert_eq!(method_of(path), None, "{path}");
        }
        assert_eq!(method_of(&format!("/a/{}", "b".repeat(300))), None);
    }

    #[test]
    fn a_timeout_has_at_most_eight_digits_and_a_unit() {
        let timeout = |text: &str| {
            let headers = [(http::HeaderName::from_static("grpc-timeout"), text.parse().unwrap())];
            timeout_of(&headers.into_iter().collect())
        };
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for text in ["", "m", "1", "123456789S", "-1S", "1x"] {
            assert_eq!(timeout(text), None, "{text}");
        }
    }

    #[test]
    fn an_invalid_code_is_unknown_and_an_http_status_is_mapped() {
        let code = |text: &str| {
            let headers = [(http::HeaderName::from_static("grpc-status"), text.parse().unwrap())];
            Code::of(&headers.into_iter().collect()).map(Code::name)
        };
        assert_eq!(code("5"), Some("NOT_FOUND"));
        for text in ["17", "-1", "", "OK", "999999"] {
            assert_eq!(code(text), Some("UNKNOWN"), "{text}");
        }
        assert_eq!(Code::of(&HeaderMap::new()), None);
        assert_eq!(Code::of_http(StatusCode::BAD_GATEWAY).name(), "UNAVAILABLE");
    }
}
