//! Business operations: what the attribute expands to.

mod field;
mod label;
mod operation;
mod outcome;
mod site;
mod span;
mod verdict;

pub use field::{AsDebug, AsDisplay, Field, FieldValue, Formatted, SecretValue, value};
pub use label::{Label, LabelSet, SealedLabel};
pub use operation::Operation;
pub use outcome::{Outcome, OutcomeClass};
pub use site::{CatalogEntry, SITES, Site, Spec, catalog};
pub use span::Fields;
pub use verdict::{ByDefault, ByOutcome, ByResult, IntoVerdict, Judged, Verdict, judge_err, judge_ok};

#[cfg(feature = "testing")]
pub(crate) use site::fields_of;
pub(crate) use site::install;
