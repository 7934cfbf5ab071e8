//! The few names that the expansion of `#[instrument_business]` may use. Not part of the public interface.

pub use crate::business::{
    AsDebug, AsDisplay, Attached, ByDefault, ByOutcome, ByResult, Field, FieldValue, IntoVerdict,
    LabelSet, Operation, Probe, Refused, SITES, Shown, Site, Spec, Verdict, value,
};
pub use ::core;
pub use linkme;

/// Calls a closure once: as an argument it is inferred to be `FnOnce`, so that it may give away what it holds.
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}
