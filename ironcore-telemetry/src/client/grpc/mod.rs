//! The gRPC client layer.

mod classify;
mod layer;
mod request_body;
mod series;

pub use layer::{
    GrpcClientResponseBody, GrpcClientResponseFuture, GrpcClientTelemetryLayer, GrpcClientTelemetryService,
};
