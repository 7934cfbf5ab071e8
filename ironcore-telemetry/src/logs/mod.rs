//! Logs: one line per event on stdout, as JSON, logfmt or text for a person, with the ids of the current span, the name of the business operation and
//! the fields of the `tracing` spans around it.

mod directives;
mod fields;
mod layer;
mod line;
mod log_crate;
mod timestamp;
mod writer;

pub(crate) use layer::layer;
pub(crate) use log_crate::forward_log_crate;
pub(crate) use writer::{flush_stdout, write_to_stdout};
