//! The client layers: a span, counters and a duration for each HTTP request and each gRPC call that the service makes, and
//! its trace context for those that may have it.

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod layer;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "http")]
mod series;
mod targets;

#[cfg(feature = "grpc")]
pub use grpc::{GrpcClientTelemetryLayer, GrpcClientTelemetryService};
#[cfg(feature = "http")]
pub use layer::{HttpClientTelemetryLayer, HttpClientTelemetryService};
#[cfg(feature = "http")]
pub use request::Resends;
