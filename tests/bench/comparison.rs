//! What an operation and a request cost with other crates, measured as the cases of `cost.rs` are: instructions and
//! allocations over the bare call in the same run. `cargo bench --bench comparison`, here in `tests/bench`, prints the
//! table; it gates nothing.

#[path = "../../ironcore-telemetry/benches/harness/mod.rs"]
mod harness;

use harness::{
    Case, bare_router, call, case, print_table, quiet, repeat, requests, run_named_case, start, under_parent,
};
use ironcore_telemetry as telemetry;
use opentelemetry::trace::TraceFlags;
use std::hint::black_box;
use telemetry::{HttpTelemetryLayer, Sampling};

const CASES: &[Case] = &[
    case("bare call", None, |n| {
        repeat(n, || call(bare(black_box(7))));
    }),
    case("instrument_business, one field", None, |n| {
        under_parent(n, TraceFlags::SAMPLED, || call(rename_wallet(black_box(7))));
    }),
    case("tracing::instrument", None, |n| {
        under_parent(n, TraceFlags::SAMPLED, || call(traced(black_box(7))));
    }),
    case("bare request", None, |n| requests(n, &bare_router())),
    case("HttpTelemetryLayer", None, |n| {
        let _guard = start(Sampling::Always);
        requests(n, &bare_router().layer(HttpTelemetryLayer::new()));
    }),
    case("opentelemetry-instrumentation-tower", None, |n| {
        let _guard = start(Sampling::Always);
        let layer = opentelemetry_instrumentation_tower::http::server::Layer::new();
        requests(n, &bare_router().layer(layer));
    }),
    case("axum-tracing-opentelemetry", None, |n| {
        // Its spans are on this level.
        let config = quiet().trace_filter("info,otel::tracing=trace");
        let _guard = telemetry::init_with(config).expect("telemetry starts");
        let layer = axum_tracing_opentelemetry::middleware::OtelAxumLayer::default();
        requests(n, &bare_router().layer(layer));
    }),
];

fn main() {
    if !run_named_case(CASES) {
        print_table(CASES);
    }
}

#[expect(clippy::unused_async, reason = "the call that is measured is asynchronous")]
async fn bare(id: u64) -> Result<u64, String> {
    if id == 0 { Err("none".to_owned()) } else { Ok(id) }
}

#[telemetry::instrument_business(fields(id = id))]
async fn rename_wallet(id: u64) -> Result<u64, String> {
    if id == 0 { Err("none".to_owned()) } else { Ok(id) }
}

#[tracing::instrument]
async fn traced(id: u64) -> Result<u64, String> {
    if id == 0 { Err("none".to_owned()) } else { Ok(id) }
}
