//! The server layers: a span, counters, a duration and an access line for each HTTP request and each gRPC call that the
//! service receives.
//!
//! [`HttpTelemetryLayer`](crate::HttpTelemetryLayer) and [`GrpcTelemetryLayer`](crate::GrpcTelemetryLayer) are at the
//! root of the crate; the types in their signatures are here.

pub(crate) mod boundary;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "http")]
pub(crate) mod http;
mod options;

pub use self::boundary::Caller;
#[cfg(feature = "grpc")]
pub use self::grpc::{GrpcRequestBody, GrpcResponseBody, GrpcResponseFuture, GrpcTelemetryService};
#[cfg(feature = "http")]
pub use self::http::{HttpResponseBody, HttpResponseFuture, HttpTelemetryService, RequestHead};
