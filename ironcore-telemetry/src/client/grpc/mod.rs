//! The gRPC client layer.

mod body;
mod call;
mod layer;
mod series;

pub use layer::{GrpcClientTelemetryLayer, GrpcClientTelemetryService};
