//! Business operations: what the attribute expands to.

mod operation;
mod outcome;
mod site;
mod verdict;

pub use operation::{Attached, Operation};
pub use outcome::{Outcome, OutcomeClass};
pub use site::{SITES, Site};
pub use verdict::{ByDefault, ByOutcome, ByResult, Probe, Verdict};

pub(crate) use site::install;
