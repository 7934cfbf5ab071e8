//! Arbitrary instruments of users: names, units and attributes from all of Unicode, and those that are known to clash.

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{InstrumentationScope, KeyValue};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// The variable that hands the instruments to a child.
pub(crate) const VARIABLE: &str = "INSTRUMENTS";

/// One instrument and what it records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Instrument {
    scope: (String, Option<String>, Vec<(String, String)>),
    kind: u8,
    name: String,
    unit: String,
    description: String,
    boundaries: Option<Vec<f64>>,
    points: Vec<(i32, Vec<(String, String)>)>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        // All of Unicode, with the characters that formats give a meaning to more often than chance has them.
        proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        proptest::collection::vec(
            prop::sample::select("\0\n\r\t\\\"{}=,;# é\u{2028}\u{feff}\u{202e}_:.-/1aB".chars().collect::<Vec<_>>()),
            0..12
        )
        .prop_map(String::from_iter),
        Just("# EOF".to_owned()),
        Just("a\"} 1\n# TYPE x counter\nx 1".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "h",
        "h_count",
        "h.sum",
        "h_bucket",
        "h_created",
        "jobs",
        "jobs_total",
        "jobs.total",
        "Jobs",
        "total",
        "ratio",
        "cache_hit_ratio",
        "uptime_days",
        "lasts_seconds",
        "lasts",
        "a..b",
        "a_b",
        "up",
        "target",
        "target.info",
        "target_info",
        "scrape_duration_seconds",
        "http_requests",
        "http.requests.total",
        "telemetry_queued",
        "business_operation_duration_seconds_count",
        "business_operations",
        "http.request.duration",
        "x_info",
        "x",
    ];
    prop_oneof![
        3 => prop::sample::select(KNOWN).prop_map(ToOwned::to_owned),
        2 => "[a-zA-Z][a-zA-Z0-9_./-]{0,12}",
        1 => text(),
    ]
}

fn unit() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "",
        "1",
        "s",
        "ms",
        "By",
        "By/s",
        "1/s",
        "{order}",
        "{order}/s",
        "%",
        "Cel",
        "d",
        "m/h",
        "total",
        "count",
        "/",
        "{",
        "s/",
        "created",
        "By{x}",
    ];
    prop_oneof![4 => prop::sample::select(KNOWN).prop_map(ToOwned::to_owned), 1 => "[ -~]{0,8}", 1 => text()]
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    const KNOWN: &[&str] = &[
        "",
        "le",
        "quantile",
        "__name__",
        "__x__",
        "job",
        "instance",
        "exported_job",
        "otel_scope_name",
        "_le",
        "a.b",
        "a_b",
        "1a",
        "a:b",
        "host",
        "service",
    ];
    let key = prop_oneof![prop::sample::select(KNOWN).prop_map(ToOwned::to_owned), text()];
    proptest::collection::vec((key, text()), 0..5)
}

fn instrument() -> impl Strategy<Value = Instrument> {
    let scope = prop_oneof![
        Just(("users".to_owned(), None, Vec::new())),
        Just(("library".to_owned(), Some("1.0".to_owned()), vec![("name".to_owned(), "x".to_owned())])),
        (text(), proptest::option::of(text()), attributes()),
    ];
    let boundaries = proptest::option::of(prop_oneof![
        Just(vec![]),
        Just(vec![60.0, 600.0, 3600.0]),
        Just(vec![-1.5, 0.0, 1e-7, 1e9]),
        Just(vec![2.0, 1.0]),
        Just(vec![f64::MAX]),
    ]);
    let points = proptest::collection::vec((any::<i32>(), attributes()), 0..4);
    (scope, 0_u8..16, name(), unit(), text(), boundaries, points).prop_map(
        |(scope, kind, name, unit, description, boundaries, points)| Instrument {
            scope,
            kind,
            name,
            unit,
            description,
            boundaries,
            points,
        },
    )
}

/// What one service may have.
pub(crate) fn instruments() -> impl Strategy<Value = Vec<Instrument>> {
    proptest::collection::vec(instrument(), 1..24)
}

fn meter(Instrument { scope: (name, version, attributes), .. }: &Instrument) -> Meter {
    let mut scope = InstrumentationScope::builder(name.clone()).with_attributes(key_values(attributes));
    if let Some(version) = version {
        scope = scope.with_version(version.clone()).with_schema_url("https://example.com/1");
    }
    opentelemetry::global::meter_provider().meter_with_scope(scope.build())
}

fn key_values(pairs: &[(String, String)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
}

/// The values of the instrument as another type of number.
fn callback<T: 'static>(
    instrument: &Instrument,
    convert: impl Fn(i32) -> T + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
    let points = instrument.points.clone();
    move |observer| {
        for (value, attributes) in &points {
            observer.observe(convert(*value), &key_values(attributes));
        }
    }
}

macro_rules! build {
    ($meter:ident, $instrument:ident, $method:ident) => {
        $meter
            .$method($instrument.name.clone())
            .with_unit($instrument.unit.clone())
            .with_description($instrument.description.clone())
    };
}

macro_rules! record {
    ($instrument:ident, $method:ident, $record:ident, $convert:expr) => {{
        let meter = meter($instrument);
        let built = build!(meter, $instrument, $method).build();
        for (value, attributes) in &$instrument.points {
            built.$record($convert(*value), &key_values(attributes));
        }
    }};
}

macro_rules! observe {
    ($instrument:ident, $method:ident, $convert:expr) => {{
        let meter = meter($instrument);
        let _ = build!(meter, $instrument, $method).with_callback(callback($instrument, $convert)).build();
    }};
}

macro_rules! distribute {
    ($instrument:ident, $method:ident, $convert:expr) => {{
        let meter = meter($instrument);
        let mut builder = build!(meter, $instrument, $method);
        if let Some(boundaries) = &$instrument.boundaries {
            builder = builder.with_boundaries(boundaries.clone());
        }
        let built = builder.build();
        for (value, attributes) in &$instrument.points {
            built.record($convert(*value), &key_values(attributes));
        }
    }};
}

/// Makes the instruments with the installed provider and records.
pub(crate) fn record_all(instruments: &[Instrument]) {
    let unsigned = |value: i32| u64::from(value.unsigned_abs());
    for instrument in instruments {
        match instrument.kind {
            0 => record!(instrument, u64_counter, add, unsigned),
            1 => record!(instrument, f64_counter, add, f64::from),
            2 => record!(instrument, i64_up_down_counter, add, i64::from),
            3 => record!(instrument, f64_up_down_counter, add, f64::from),
            4 => record!(instrument, u64_gauge, record, unsigned),
            5 => record!(instrument, f64_gauge, record, f64::from),
            6 => record!(instrument, i64_gauge, record, i64::from),
            7 => observe!(instrument, u64_observable_counter, unsigned),
            8 => observe!(instrument, f64_observable_counter, f64::from),
            9 => observe!(instrument, i64_observable_up_down_counter, i64::from),
            10 => observe!(instrument, f64_observable_up_down_counter, f64::from),
            11 => observe!(instrument, u64_observable_gauge, unsigned),
            12 => observe!(instrument, i64_observable_gauge, i64::from),
            13 => observe!(instrument, f64_observable_gauge, f64::from),
            14 => distribute!(instrument, u64_histogram, unsigned),
            _ => distribute!(instrument, f64_histogram, |value| f64::from(value) / 1e4),
        }
    }
}

/// The instruments that the parent has handed over.
pub(crate) fn from_parent() -> Vec<Instrument> {
    let text = std::env::var(VARIABLE).expect("the parent sets it");
    serde_json::from_str(&text).expect("instruments")
}
