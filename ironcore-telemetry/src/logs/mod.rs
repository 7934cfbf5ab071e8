//! Logs: one JSON object a line on stdout, with the ids of the current span and the name of the business operation.

mod json;
mod layer;
mod operation;

pub(crate) use layer::{forward_log_crate, layer};
pub(crate) use operation::{Entered, enter};
