//! Logs: one JSON object per line on stdout, with the ids of the current span, the name of the business operation and
//! the fields of the `tracing` spans around it.

mod directives;
mod fields;
mod json;
mod layer;
mod log_crate;
mod timestamp;
mod writer;

pub(crate) use layer::layer;
pub(crate) use log_crate::forward_log_crate;
pub(crate) use writer::{flush_stdout, write_to_stdout};
