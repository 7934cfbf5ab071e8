//! The client layers: a span, counters and a duration for each HTTP request and each gRPC call that the service sends,
//! and its trace context for the hosts that may have it.
//!
//! [`HttpClientTelemetryLayer`](crate::HttpClientTelemetryLayer) and
//! [`GrpcClientTelemetryLayer`](crate::GrpcClientTelemetryLayer) are at the root of the crate; the types in their
//! signatures are here.

#[cfg(feature = "grpc")]
pub(crate) mod grpc;
#[cfg(feature = "http")]
pub(crate) mod http;
mod targets;

#[cfg(feature = "grpc")]
pub use self::grpc::{GrpcClientResponseBody, GrpcClientResponseFuture, GrpcClientTelemetryService};
#[cfg(feature = "http")]
pub use self::http::{
    HttpClientResponseBody, HttpClientResponseFuture, HttpClientTelemetryService, JsonRpcMethod, Resends,
};
#[cfg(feature = "reqwest")]
pub use self::http::{ReqwestClient, ReqwestFuture};
