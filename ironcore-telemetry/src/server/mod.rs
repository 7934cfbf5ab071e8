//! The HTTP server layer: a span, a counter, a duration and an access line for each request.

mod boundary;
mod future;
mod layer;
mod request;
mod series;

pub use boundary::{Boundary, Caller};
pub use future::HttpTelemetryFuture;
pub use layer::{HttpTelemetryLayer, HttpTelemetryService};
