//! The names that the expansions of the macros use. Not part of the public interface.

pub use crate::business::{
    AsDebug, AsDisplay, ByDefault, ByOptional, ByOutcome, ByResponse, ByStatus, CodesByOutcome, CodesOf,
    DescribeDisplay, DescribeError, DescribeHeld, DescribeHeldHere, DescribeNothing, DescribeSecret, Described,
    ErrorText, Field, FieldValue, Fields, Formatted, HeadedResponse, HttpOutcome, InErr, InOk, IntoVerdict, Judgement,
    KnownCodes, Label, LabelSet, MaybeText, NoCodes, NoText, OpenErrorResponse, OpenNothing, Opened, Operation,
    Outcome, OutcomeClass, RecordableText, Returned, SITES, SealedLabel, SecretText, SecretValue, Site, Spec,
    SplitNothing, SplitResult, Verdict, Whole, is_result, judge_err, judge_ok, moved, value,
};
pub use ::core;
pub use ::std::borrow::ToOwned;
pub use linkme;
