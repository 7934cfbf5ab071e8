//! Logs: one JSON object per line on stdout, with the ids of the current span and the name of the business operation.

mod json;
mod layer;

pub(crate) use layer::{forward_log_crate, layer};
