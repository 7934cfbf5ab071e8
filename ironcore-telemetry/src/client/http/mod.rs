//! The HTTP client layer.

mod classify;
mod json_rpc;
mod layer;
#[cfg(feature = "reqwest")]
mod reqwest_client;
mod series;

pub use classify::Resends;
pub use json_rpc::JsonRpcMethod;
pub use layer::{
    HttpClientResponseBody, HttpClientResponseFuture, HttpClientTelemetryLayer, HttpClientTelemetryService,
};
#[cfg(feature = "reqwest")]
pub use reqwest_client::{ReqwestClient, ReqwestFuture};
