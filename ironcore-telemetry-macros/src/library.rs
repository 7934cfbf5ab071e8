//! The path of the library in the expansion.

use crate::given::Given;
use syn::{Path, parse_quote};

/// The path given as `crate = path`, or the library's own name.
pub(crate) fn path(given: Option<Given<Path>>) -> Path {
    given.map_or_else(|| parse_quote!(::ironcore_telemetry), |given| given.value)
}
