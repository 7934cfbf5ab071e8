//! Which verdict a value gets: that of its [`Outcome`], else that of a `Result` whose error has none, else `ok`.
//!
//! The expansion calls `(&&&Probe(&value)).verdict()` where the type is known; method lookup tries the traits in the
//! order of their references, so the most telling one wins.

use super::outcome::{Outcome, OutcomeClass};

/// The class and the code of an ended operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub(super) class: OutcomeClass,
    pub(super) code: &'static str,
}

impl Verdict {
    pub(super) const OK: Self = Self { class: OutcomeClass::Ok, code: "" };
    pub(super) const CANCELLED: Self = Self { class: OutcomeClass::Cancelled, code: "" };
    pub(super) const PANICKED: Self = Self { class: OutcomeClass::Panicked, code: "" };
    pub(super) const ERROR: Self = Self { class: OutcomeClass::Failed, code: "error" };
}

/// What a function given as `err = …` or `ok = …` may answer with.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a verdict",
    label = "answers with neither a class nor a class and a code",
    note = "answer with an `OutcomeClass`, or with `(OutcomeClass, \"code\")`"
)]
pub trait IntoVerdict {
    /// The verdict.
    fn into_verdict(self) -> Verdict;
}

impl IntoVerdict for OutcomeClass {
    fn into_verdict(self) -> Verdict {
        Verdict { class: self, code: "" }
    }
}

impl IntoVerdict for (OutcomeClass, &'static str) {
    fn into_verdict(self) -> Verdict {
        Verdict { class: self.0, code: self.1 }
    }
}

/// A value that is about to be judged.
#[derive(Debug)]
pub struct Probe<'value, T>(pub &'value T);

/// First choice: the value has an outcome.
pub trait ByOutcome {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T: Outcome> ByOutcome for &&Probe<'_, T> {
    fn verdict(&self) -> Verdict {
        Verdict { class: self.0.class(), code: self.0.code() }
    }
}

/// Second choice: a `Result` whose error says nothing about itself.
pub trait ByResult {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T, E> ByResult for &Probe<'_, Result<T, E>> {
    fn verdict(&self) -> Verdict {
        if self.0.is_ok() { Verdict::OK } else { Verdict::ERROR }
    }
}

/// Last choice: a value that says nothing about success.
pub trait ByDefault {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T> ByDefault for Probe<'_, T> {
    fn verdict(&self) -> Verdict {
        Verdict::OK
    }
}

#[cfg(test)]
#[allow(clippy::needless_borrow, reason = "as the expansion writes it")]
mod tests {
    use super::*;

    struct Refused;

    impl Outcome for Refused {
        fn class(&self) -> OutcomeClass {
            OutcomeClass::Rejected
        }

        fn code(&self) -> &'static str {
            "refused"
        }
    }

    #[test]
    fn an_error_with_an_outcome_decides() {
        let value: Result<(), Refused> = Err(Refused);
        let verdict = (&&&Probe(&value)).verdict();
        assert_eq!(verdict, Verdict { class: OutcomeClass::Rejected, code: "refused" });
    }

    #[test]
    fn an_error_without_an_outcome_is_a_failure() {
        let value: Result<u8, String> = Err("why".to_owned());
        assert_eq!((&&&Probe(&value)).verdict(), Verdict::ERROR);
        let value: Result<u8, String> = Ok(1);
        assert_eq!((&&&Probe(&value)).verdict(), Verdict::OK);
    }

    #[test]
    fn any_other_value_is_ok() {
        assert_eq!((&&&Probe(&"text")).verdict(), Verdict::OK);
    }
}
