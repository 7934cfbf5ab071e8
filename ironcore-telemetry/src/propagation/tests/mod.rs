//! Tests of all propagators together.

mod conformance;
mod hostile;
