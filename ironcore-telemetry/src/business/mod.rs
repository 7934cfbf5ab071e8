//! Business operations: what the attribute expands to.

mod error_text;
mod failure;
mod field;
mod label;
mod operation;
mod outcome;
mod site;
mod span;
mod verdict;

pub use error_text::{
    DescribeDisplay, DescribeError, DescribeHeld, DescribeHeldHere, DescribeNothing, DescribeSecret, Described,
    ErrorText, MaybeText, NoText, RecordableText, SecretText,
};
pub use field::{AsDebug, AsDisplay, Field, FieldValue, Formatted, SecretValue, value};
pub use label::{Label, LabelSet, SealedLabel};
pub use operation::{Operation, moved};
pub use outcome::{CodesByOutcome, CodesOf, HeadedResponse, HttpOutcome, KnownCodes, NoCodes, Outcome, OutcomeClass};
pub use site::{CatalogEntry, SITES, Site, Spec, catalog};
pub use span::Fields;
pub use verdict::{
    ByDefault, ByOptional, ByOutcome, ByResponse, ByStatus, InErr, InOk, IntoVerdict, Judgement, OpenErrorResponse,
    OpenNothing, Opened, Returned, SplitNothing, SplitResult, Verdict, Whole, is_result, judge_err, judge_ok,
};

#[cfg(feature = "testing")]
pub(crate) use site::fields_of;
pub(crate) use site::install;
