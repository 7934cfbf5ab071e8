//! The names that the expansions of the macros use. Not part of the public interface.

pub use crate::business::{
    AsDebug, AsDisplay, ByDefault, ByOutcome, ByResult, Field, FieldValue, Fields, Formatted, IntoVerdict, Judged,
    Label, LabelSet, Operation, Outcome, OutcomeClass, SITES, SealedLabel, SecretValue, Site, Spec, Verdict, judge_err,
    judge_ok, value,
};
pub use ::core;
pub use linkme;
