//! The HTTP server layer.

mod classify;
mod layer;
mod request_body;
mod route;
mod series;

pub use layer::{HttpResponseBody, HttpResponseFuture, HttpTelemetryLayer, HttpTelemetryService};
pub use route::RequestHead;
pub(super) use route::RouteBy;
