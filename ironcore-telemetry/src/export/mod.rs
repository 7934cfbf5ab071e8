//! The way out: the telemetry thread and the OTLP transports.

mod otlp;
mod worker;

pub(crate) use otlp::{MetricsSender, SpanExporter, span_exporter};
pub(crate) use worker::{Worker, is_own_thread};
