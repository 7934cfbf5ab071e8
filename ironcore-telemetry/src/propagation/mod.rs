//! Trace context across process boundaries: the propagators, and how the layers use them on HTTP headers.

mod b3;
mod baggage;
#[cfg(any(feature = "http", feature = "grpc"))]
mod headers;
mod jaeger;
mod parse;
mod remote_parent;
#[cfg(all(test, any(feature = "http", feature = "grpc")))]
mod tests;
mod trace_context;

pub(crate) use b3::B3Propagator;
pub(crate) use baggage::BaggagePropagator;
#[cfg(any(feature = "http", feature = "grpc"))]
pub(crate) use headers::{caller_span, extract, inject, inject_response, remove};
pub(crate) use jaeger::JaegerPropagator;
pub(crate) use trace_context::TraceContextPropagator;
