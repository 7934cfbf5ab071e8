//! The server layers: a span, counters, a duration and an access line for each HTTP request and each gRPC call.

#[cfg(feature = "http")]
mod body;
mod boundary;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod layer;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "http")]
mod series;
mod settings;

pub use boundary::{Boundary, Caller};
#[cfg(feature = "grpc")]
pub use grpc::{GrpcRequestBody, GrpcTelemetryLayer, GrpcTelemetryService};
#[cfg(feature = "http")]
pub use layer::{HttpTelemetryLayer, HttpTelemetryService};
