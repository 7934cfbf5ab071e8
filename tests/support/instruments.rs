//! OpenTelemetry instruments as users of the library make them.

use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};

/// Records with instruments of every kind, with all the names and labels that are known to break a `/metrics` page, and
/// makes a span of the user's own.
pub fn record_instruments() {
    let meter = opentelemetry::global::meter("users");
    meter.u64_counter("orders_total").build().add(2, &[KeyValue::new("channel", "web")]);
    meter.u64_counter("orders.placed").build().add(3, &[]);
    meter.f64_histogram("checkout.duration").with_unit("s").build().record(0.07, &[]);
    meter.f64_histogram("request_duration_seconds").with_unit("s").build().record(0.2, &[KeyValue::new("le", "x")]);
    meter.u64_counter("sent_bytes").with_unit("By").build().add(1, &[]);
    let same = meter.u64_counter("same.labels").build();
    same.add(1, &[KeyValue::new("a.b", "x")]);
    same.add(1, &[KeyValue::new("a_b", "x")]);
    meter.u64_gauge("http_request_duration_seconds_count").build().record(1, &[]);
    let bad =
        [KeyValue::new("1digit", "a"), KeyValue::new("", "b"), KeyValue::new("a:b", "c"), KeyValue::new("a.b", "d")];
    meter.u64_counter("bad.labels").build().add(1, &bad);
    meter.u64_counter("http_requests").build().add(7, &[]);
    let tracer = opentelemetry::global::tracer_provider().tracer("users");
    tracer.in_span("users_span", |context| {
        context.span().set_attribute(KeyValue::new("n", 1));
    });
}
