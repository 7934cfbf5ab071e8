//! The gRPC server layer.

mod body;
mod call;
mod layer;
mod series;

pub use body::GrpcRequestBody;
pub use layer::{GrpcTelemetryLayer, GrpcTelemetryService};
