//! The verdict on a returned value: that of its [`Outcome`]; else, for a `Result` whose error has none, `failed` or
//! `ok`; else `ok`.
//!
//! The expansion calls `(&&&Judged(&value)).verdict()` where the type is known. Method lookup tries the traits in the
//! order of their references, so the most specific one wins.

use super::outcome::{Outcome, OutcomeClass};

/// What a result means to the business: a class and a code.
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

/// A return value of a function given as `err = …` or `ok = …`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a verdict",
    label = "returns neither a class nor a class with a code",
    note = "return an `OutcomeClass`, or `(OutcomeClass, \"code\")`"
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

/// A returned value that is to get a verdict.
#[derive(Debug)]
pub struct Judged<'value, T>(pub &'value T);

/// First choice: the value implements [`Outcome`].
pub trait ByOutcome {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T: Outcome> ByOutcome for &&Judged<'_, T> {
    fn verdict(&self) -> Verdict {
        Verdict { class: self.0.class(), code: self.0.code() }
    }
}

/// Second choice: a `Result` whose error does not implement [`Outcome`].
pub trait ByResult {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T, E> ByResult for &Judged<'_, Result<T, E>> {
    fn verdict(&self) -> Verdict {
        if self.0.is_ok() { Verdict::OK } else { Verdict::ERROR }
    }
}

/// Last choice: any other value is `ok`.
pub trait ByDefault {
    /// The verdict of the value.
    fn verdict(&self) -> Verdict;
}

impl<T> ByDefault for Judged<'_, T> {
    fn verdict(&self) -> Verdict {
        Verdict::OK
    }
}

/// The verdict of the function given as `err = …`, when the result is an error.
pub fn judge_err<T, E, V: IntoVerdict>(result: &Result<T, E>, judge: impl FnOnce(&E) -> V) -> Option<Verdict> {
    result.as_ref().err().map(|error| judge(error).into_verdict())
}

/// The verdict of the function given as `ok = …`, when the result is a value.
pub fn judge_ok<T, E, V: IntoVerdict>(result: &Result<T, E>, judge: impl FnOnce(&T) -> V) -> Option<Verdict> {
    result.as_ref().ok().map(|value| judge(value).into_verdict())
}

#[cfg(test)]
#[allow(clippy::needless_borrow, reason = "as the expansion writes it")]
mod tests {
    use super::*;

    struct Denied;

    impl Outcome for Denied {
        fn class(&self) -> OutcomeClass {
            OutcomeClass::Rejected
        }

        fn code(&self) -> &'static str {
            "denied"
        }
    }

    #[test]
    fn an_error_that_implements_outcome_gives_the_verdict() {
        let value: Result<(), Denied> = Err(Denied);
        let verdict = (&&&Judged(&value)).verdict();
        assert_eq!(verdict, Verdict { class: OutcomeClass::Rejected, code: "denied" });
    }

    #[test]
    fn an_error_that_does_not_implement_outcome_is_failed() {
        let value: Result<u8, String> = Err("why".to_owned());
        assert_eq!((&&&Judged(&value)).verdict(), Verdict::ERROR);
        let value: Result<u8, String> = Ok(1);
        assert_eq!((&&&Judged(&value)).verdict(), Verdict::OK);
    }

    #[test]
    fn any_other_value_is_ok() {
        assert_eq!((&&&Judged(&"text")).verdict(), Verdict::OK);
    }
}
