//! The OTLP transports.

mod answer;
#[cfg(any(feature = "otlp-grpc", feature = "otlp-http"))]
mod client;
#[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
#[path = "no_client.rs"]
mod client;
mod otlp;

pub(crate) use answer::{Answer, Cause, Failure};
pub(crate) use client::Client;
pub(crate) use otlp::{MetricsSender, SpanExporter, span_exporter};
