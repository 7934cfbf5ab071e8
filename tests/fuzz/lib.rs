//! What every target does: headers come in, go out, and must say the same to the next reader.

use http::{HeaderMap, HeaderName, HeaderValue};
use ironcore_telemetry::{self as telemetry, Config, TelemetryGuard};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Context, global};
use std::sync::LazyLock;

/// A parent, without which no other header of its format is read.
pub const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-01";

/// Bytes that may go out, of those headers whose length is not fixed.
const LIMITS: [(&str, usize); 2] = [("tracestate", 1024), ("baggage", 8192)];

/// The environment of `.cargo/config.toml` says what is started.
static TELEMETRY: LazyLock<TelemetryGuard> = LazyLock::new(|| {
    let guard = telemetry::init_with(Config::new("fuzz")).expect("telemetry starts");
    let fields = global::get_text_map_propagator(|all| all.fields().count());
    assert!(fields >= 9, "not all formats are on: run in tests/fuzz");
    guard
});

/// The lines of the input that a header can have.
pub fn lines(data: &[u8]) -> impl Iterator<Item = HeaderValue> {
    data.split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
}

/// These headers come in. A panic is a fault.
pub fn come_in(lines: impl IntoIterator<Item = (&'static str, HeaderValue)>) {
    LazyLock::force(&TELEMETRY);
    let mut headers = Headers::default();
    for (name, value) in lines {
        headers.0.append(name, value);
    }
    let out = headers.handed_on();
    for (name, limit) in LIMITS {
        let length = out.0.get(name).map_or(0, HeaderValue::len);
        assert!(length <= limit, "{name} of {length} bytes");
    }
    assert_eq!(
        out,
        out.handed_on(),
        "the next reader understands something else"
    );
}

#[derive(Debug, Default, PartialEq)]
struct Headers(HeaderMap);

impl Headers {
    fn handed_on(&self) -> Self {
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

/// As text where it is some: other carriers than HTTP's hand that on.
fn text(value: &HeaderValue) -> &str {
    std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}")
}

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        assert!(!value.is_empty(), "{key} is empty");
        let key: HeaderName = key.parse().expect("a header's name");
        let value = HeaderValue::from_str(&value).expect("a header's value");
        // Both formats of B3 write into headers of their own.
        assert_eq!(self.0.insert(key, value), None, "twice");
    }
}
