//! The gRPC server layer.

mod classify;
mod layer;
mod request_body;
mod series;

pub use layer::{GrpcRequestBody, GrpcResponseBody, GrpcResponseFuture, GrpcTelemetryLayer, GrpcTelemetryService};
