//! The few names that the expansion of `#[instrument_business]` may use. Not part of the public interface.

pub use crate::business::{
    AsDebug, AsDisplay, ByDefault, ByOutcome, ByResult, Field, FieldValue, Fields, IntoVerdict, Label, LabelSet,
    Operation, Outcome, OutcomeClass, Probe, Refused, SITES, Shown, Site, Spec, Verdict, value,
};
pub use ::core;
pub use linkme;

/// The verdict of the function given as `err = …`, when the result is an error.
pub fn judge_err<T, E, V: IntoVerdict>(result: &Result<T, E>, judge: impl FnOnce(&E) -> V) -> Option<Verdict> {
    result.as_ref().err().map(|error| judge(error).into_verdict())
}

/// The verdict of the function given as `ok = …`, when the result is a value.
pub fn judge_ok<T, E, V: IntoVerdict>(result: &Result<T, E>, judge: impl FnOnce(&T) -> V) -> Option<Verdict> {
    result.as_ref().ok().map(|value| judge(value).into_verdict())
}
