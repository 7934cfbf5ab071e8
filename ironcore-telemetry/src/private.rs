//! The few names that the expansion of `#[instrument_business]` may use. Not part of the public interface.

pub use crate::business::{
    AsDebug, AsDisplay, ByDefault, ByOutcome, ByResult, Field, FieldValue, IntoVerdict, LabelSet,
    Operation, Probe, Refused, SITES, Shown, Site, Spec, Verdict, value,
};
pub use ::core;
pub use linkme;
