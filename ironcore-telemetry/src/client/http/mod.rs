//! The HTTP client layer.

mod classify;
mod layer;
mod series;

pub use classify::Resends;
pub use layer::{
    HttpClientResponseBody, HttpClientResponseFuture, HttpClientTelemetryLayer, HttpClientTelemetryService,
};
