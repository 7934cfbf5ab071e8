//! The HTTP server layer.

mod classify;
mod layer;
mod request_body;
mod series;

pub use layer::{HttpResponseBody, HttpResponseFuture, HttpTelemetryLayer, HttpTelemetryService};
