//! Shared by all targets: extracts headers, injects the context again, and checks that the next reader extracts the
//! same.

use http::{HeaderMap, HeaderName, HeaderValue};
use ironcore_telemetry::{self as telemetry, Config, TelemetryGuard};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, global};
use std::sync::LazyLock;

/// A valid `traceparent`, without which no other header of its format is read.
pub const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

/// The most bytes that may be injected, for the headers whose length is not fixed.
const LIMITS: [(&str, usize); 2] = [("tracestate", 1024), ("baggage", 8192)];

/// Started as `.cargo/config.toml` sets the environment.
static TELEMETRY: LazyLock<TelemetryGuard> = LazyLock::new(|| {
    let guard = telemetry::init_with(Config::new("fuzz")).expect("init");
    let fields = global::get_text_map_propagator(|all| all.fields().count());
    assert!(fields >= 9, "not all propagators are on: run in tests/fuzz");
    guard
});

/// The lines of the input that are valid as the value of a header.
pub fn lines(data: &[u8]) -> impl Iterator<Item = HeaderValue> {
    data.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok())
}

/// Extracts these headers and checks what is injected; panics on a fault.
pub fn check(lines: impl IntoIterator<Item = (&'static str, HeaderValue)>) {
    LazyLock::force(&TELEMETRY);
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.0.append(name, value);
    }
    let out = headers.round_trip();
    for (name, limit) in LIMITS {
        let length = out.0.get(name).map_or(0, HeaderValue::len);
        assert!(length <= limit, "{name} of {length} bytes");
    }
    assert_eq!(out, out.round_trip(), "the next reader extracts something else");
}

#[derive(Debug, Default, PartialEq)]
struct Headers(HeaderMap);

impl Headers {
    fn round_trip(&self) -> Self {
        global::get_text_map_propagator(|propagator| {
            let context = propagator.extract_with_context(&Context::new(), self);
            let mut out = Self::default();
            propagator.inject_context(&context, &mut out);
            out
        })
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// UTF-8 is passed on, as carriers other than HTTP headers do; other bytes become U+FFFD.
fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}")
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        assert!(!value.is_empty(), "{key} is empty");
        let key: HeaderName = key.parse().expect("a valid header name");
        let value = HeaderValue::from_str(&value).expect("a valid header value");
        // No two formats write the same header, not even the two of B3.
        assert_eq!(self.0.insert(key, value), None, "injected twice");
    }
}
