//! The OTLP transports.

mod otlp;

pub(crate) use otlp::{MetricsSender, SpanExporter, span_exporter};
