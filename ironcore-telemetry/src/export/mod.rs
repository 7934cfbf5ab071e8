//! The OTLP transports.

mod answer;
mod client;
mod otlp;

pub(crate) use answer::{Answer, Cause, Failure};
pub(crate) use client::Client;
pub(crate) use otlp::{MetricsSender, SpanExporter, span_exporter};
