//! The HTTP server layer: a span, counters, a duration and an access line for each request.

mod body;
mod boundary;
mod layer;
mod request;
mod series;

pub use boundary::{Boundary, Caller};
pub use layer::{HttpTelemetryLayer, HttpTelemetryService};
