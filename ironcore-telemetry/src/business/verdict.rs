//! The verdict on a returned value: that of its [`Outcome`], or that of the HTTP response in an `Ok`; else `failed` for
//! an `Err`; else `ok`.
//!
//! The expansion splits `(&&Returned(&value))` and asks `(&&&&part)` for its verdict, where the types are known. Method
//! lookup tries the traits in the order of their references, so the most specific one wins. The names of the methods
//! are long, because a trait in the scope of the user could have the same ones.

use super::error_text::{ErrorText, MaybeText, RecordableText};
use super::failure;
use super::outcome::{HeadedResponse, HttpOutcome, Outcome, OutcomeClass};
use crate::caught::caught;
use crate::redact::without_credentials;
use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;

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
    /// The code is on the span and in the line only: there is one counter for all that panics.
    const JUDGE_PANICKED: Self = Self { class: OutcomeClass::Panicked, code: "judge_panicked" };

    #[inline]
    fn of(judged: &(impl Outcome + ?Sized)) -> Self {
        Self { class: judged.class(), code: judged.code() }
    }

    #[inline]
    fn of_error(error: &impl Outcome) -> Self {
        let (class, code) = error.__ironcore_telemetry_in_err();
        Self { class, code }
    }
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

/// The judgement on a call: its verdict, and the text of its error where it is recorded or compared.
#[derive(Debug)]
pub struct Judgement {
    pub(super) verdict: Verdict,
    /// Boxed: nearly all calls have none.
    pub(super) error: Option<Box<ErrorText>>,
}

impl From<Verdict> for Judgement {
    #[inline]
    fn from(verdict: Verdict) -> Self {
        Self { verdict, error: None }
    }
}

impl Judgement {
    /// The judge itself has panicked.
    #[cold]
    pub(super) fn judge_panicked() -> Self {
        Verdict::JUDGE_PANICKED.into()
    }

    /// The judgement on a call that returned an error, whose text is not recorded.
    #[inline]
    pub fn of_error<T: MaybeText>(verdict: Verdict, describe: impl FnOnce() -> T) -> Self {
        if verdict.class == OutcomeClass::Failed && failure::is_compared() {
            return Self { verdict, error: caught(describe).and_then(MaybeText::into_text).map(Box::new) };
        }
        verdict.into()
    }

    /// The judgement on a call that returned an error, whose text is recorded.
    pub fn of_recorded_error<T: RecordableText>(verdict: Verdict, describe: impl FnOnce() -> T) -> Self {
        Self { verdict, error: caught(describe).map(RecordableText::into_recorded).map(Box::new) }
    }

    /// The text that may leave the process.
    #[inline]
    pub(super) fn recorded(&self) -> Option<RecordedError<'_>> {
        let error = self.error.as_deref().filter(|error| error.is_recorded)?;
        Some(RecordedError { kind: error.kind, text: without_credentials(&error.text) })
    }
}

/// An error as it leaves the process.
pub(super) struct RecordedError<'error> {
    /// The name of its type.
    pub(super) kind: &'static str,
    pub(super) text: Cow<'error, str>,
}

/// Fails the compilation of `record_error` on a function that does not return a `Result`.
#[inline]
pub const fn is_result<T, E>(_: &Result<T, E>) {}

/// A returned value, to be taken apart into a value or an error.
#[derive(Debug)]
pub struct Returned<'value, R>(pub &'value R);

/// A returned value that is not a `Result`.
#[derive(Debug)]
pub struct Whole<'value, R>(pub &'value R);

/// The value of a `Result`.
#[derive(Debug)]
pub struct InOk<'value, T>(pub &'value T);

/// The error of a `Result`.
#[derive(Debug)]
pub struct InErr<'value, E>(pub &'value E);

/// First choice: a `Result`.
pub trait SplitResult<'value> {
    /// Its value.
    type Value;
    /// Its error.
    type Error;

    /// The value or the error.
    ///
    /// # Errors
    /// The returned error.
    fn __ironcore_telemetry_split(&self) -> Result<InOk<'value, Self::Value>, InErr<'value, Self::Error>>;
}

impl<'value, T, E> SplitResult<'value> for &Returned<'value, Result<T, E>> {
    type Value = T;
    type Error = E;

    #[inline]
    fn __ironcore_telemetry_split(&self) -> Result<InOk<'value, T>, InErr<'value, E>> {
        self.0.as_ref().map(InOk).map_err(InErr)
    }
}

/// Last choice: any other value.
pub trait SplitNothing<'value> {
    /// The value.
    type Value;

    /// The value.
    ///
    /// # Errors
    /// Never.
    fn __ironcore_telemetry_split(&self) -> Result<Whole<'value, Self::Value>, InErr<'value, Infallible>>;
}

impl<'value, R> SplitNothing<'value> for Returned<'value, R> {
    type Value = R;

    #[inline]
    fn __ironcore_telemetry_split(&self) -> Result<Whole<'value, R>, InErr<'value, Infallible>> {
        Ok(Whole(self.0))
    }
}

/// First choice: the value or error has an [`Outcome`]. The value of a `Result` is not asked for it.
pub trait ByOutcome {
    /// The verdict.
    fn __ironcore_telemetry_verdict(&self) -> Verdict;
}

impl<R: Outcome> ByOutcome for &&Whole<'_, R> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        Verdict::of(self.0)
    }
}

impl<E: Outcome> ByOutcome for &&InErr<'_, E> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        Verdict::of_error(self.0)
    }
}

/// Before all others: an error that may be there.
pub trait ByOptional {
    /// The verdict.
    fn __ironcore_telemetry_verdict(&self) -> Verdict;
}

impl<E: Outcome> ByOptional for &&&InErr<'_, Option<E>> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        self.0.as_ref().map_or(Verdict::ERROR, Verdict::of_error)
    }
}

/// Second choice: what has an HTTP status.
pub trait ByStatus {
    /// The verdict.
    fn __ironcore_telemetry_verdict(&self) -> Verdict;
}

/// Second choice too: a response that begins with headers, such as `([(name, value)], StatusCode)`.
pub trait ByResponse {
    /// The verdict.
    fn __ironcore_telemetry_verdict(&self) -> Verdict;
}

macro_rules! by_status {
    ($($wrapper:ident),+) => {
        $(
            impl<R: HttpOutcome> ByStatus for &$wrapper<'_, R> {
                #[inline]
                fn __ironcore_telemetry_verdict(&self) -> Verdict {
                    Verdict::of(self.0.outcome())
                }
            }

            impl<R: HeadedResponse> ByResponse for &$wrapper<'_, R> {
                #[inline]
                fn __ironcore_telemetry_verdict(&self) -> Verdict {
                    Verdict::of(self.0.outcome())
                }
            }
        )+
    };
}

by_status!(Whole, InOk, InErr);

/// Last choice: any other value is `ok`, any other error `failed`.
pub trait ByDefault {
    /// The verdict.
    fn __ironcore_telemetry_verdict(&self) -> Verdict;
}

impl<R> ByDefault for Whole<'_, R> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        Verdict::OK
    }
}

impl<T> ByDefault for InOk<'_, T> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        Verdict::OK
    }
}

impl<E> ByDefault for InErr<'_, E> {
    #[inline]
    fn __ironcore_telemetry_verdict(&self) -> Verdict {
        Verdict::ERROR
    }
}

/// A returned value whose verdict can be read only from the value itself, and not from a reference.
pub struct Opened<'value, R>(&'value Cell<R>);

impl<'value, R> Opened<'value, R> {
    /// The value, which is put back.
    #[inline]
    pub const fn new(value: &'value mut R) -> Self {
        Self(Cell::from_mut(value))
    }
}

/// First choice: axum's `ErrorResponse`, which shows its status only when it is turned into a response.
pub trait OpenErrorResponse {
    /// The verdict, if it is such an error.
    fn __ironcore_telemetry_open(&self) -> Option<Verdict>;
}

#[cfg(feature = "http")]
impl<T> OpenErrorResponse for &Opened<'_, Result<T, axum::response::ErrorResponse>> {
    fn __ironcore_telemetry_open(&self) -> Option<Verdict> {
        use axum::response::IntoResponse;
        let returned = self.0.replace(Err(().into()));
        let Err(error) = returned else {
            self.0.set(returned);
            return None;
        };
        let response = axum::response::Result::<()>::Err(error).into_response();
        let verdict = Verdict::of(&response);
        self.0.set(Err(response.into()));
        Some(verdict)
    }
}

/// Last choice: the reference will do.
pub trait OpenNothing {
    /// Nothing.
    fn __ironcore_telemetry_open(&self) -> Option<Verdict>;
}

impl<R> OpenNothing for Opened<'_, R> {
    #[inline]
    fn __ironcore_telemetry_open(&self) -> Option<Verdict> {
        None
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
#[allow(clippy::needless_borrow, clippy::result_large_err, reason = "as the expansion, and as axum, writes it")]
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

    /// As the expansion writes it, without `err` and `ok`.
    macro_rules! verdict {
        ($value:expr) => {{
            let mut value = $value;
            let opened = (&&Opened::new(&mut value)).__ironcore_telemetry_open();
            opened.unwrap_or_else(|| match (&&Returned(&value)).__ironcore_telemetry_split() {
                Ok(value) => (&&&value).__ironcore_telemetry_verdict(),
                Err(error) => (&&&&error).__ironcore_telemetry_verdict(),
            })
        }};
    }

    fn verdict(class: OutcomeClass, code: &'static str) -> Verdict {
        Verdict { class, code }
    }

    #[test]
    fn an_error_that_implements_outcome_gives_the_verdict() {
        assert_eq!(verdict!(Err::<(), _>(Denied)), verdict(OutcomeClass::Rejected, "denied"));
        assert_eq!(verdict!(Denied), verdict(OutcomeClass::Rejected, "denied"));
        assert_eq!(verdict!(Ok::<_, ()>(Denied)), Verdict::OK);
        assert_eq!(verdict!(Ok::<Option<u8>, ()>(None)), Verdict::OK);
    }

    #[test]
    fn an_error_that_does_not_implement_outcome_is_failed() {
        assert_eq!(verdict!(Err::<u8, _>("why".to_owned())), Verdict::ERROR);
        assert_eq!(verdict!(Ok::<u8, String>(1)), Verdict::OK);
    }

    #[test]
    fn an_error_is_not_ok_because_its_type_is_ok_as_a_value() {
        let denied = verdict(OutcomeClass::Rejected, "denied");
        assert_eq!(verdict!(Err::<u8, _>(())), Verdict::ERROR);
        assert_eq!(verdict!(Err::<u8, _>(Box::new(()))), Verdict::ERROR);
        assert_eq!(verdict!(Err::<u8, _>(None::<Denied>)), Verdict::ERROR);
        assert_eq!(verdict!(Err::<u8, _>(Some(Denied))), denied);
        assert_eq!(verdict!(Err::<u8, _>(Some(()))), Verdict::ERROR);
        assert_eq!(verdict!(Err::<u8, _>(Some("no outcome"))), Verdict::ERROR);
        assert_eq!(verdict!(Err::<u8, _>(Err::<u8, _>(()))), Verdict::ERROR);
        assert_eq!(verdict!(Ok::<(), ()>(())), Verdict::OK);
        assert_eq!((Err::<u8, ()>(()).class(), Err::<u8, ()>(()).code()), (OutcomeClass::Failed, "error"));
    }

    #[test]
    fn any_other_value_is_ok() {
        assert_eq!(verdict!("text"), Verdict::OK);
    }

    #[test]
    #[cfg(feature = "http")]
    fn every_shape_of_a_response_has_the_verdict_of_its_status() {
        use axum::response::{AppendHeaders, ErrorResponse, Response};
        use http::{HeaderMap, StatusCode};
        const MISSING: StatusCode = StatusCode::NOT_FOUND;
        const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
        let response = |status| Response::builder().status(status).body(axum::body::Body::empty()).unwrap();
        let head = |status| http::Response::builder().status(status).body(()).unwrap();
        let headers = [("x-a", "b")];
        macro_rules! both {
            ($($shape:expr),+ $(,)?) => {$(
                for (status, class, code) in [
                    (StatusCode::CREATED, OutcomeClass::Ok, ""),
                    (MISSING, OutcomeClass::Rejected, "404"),
                    (BROKEN, OutcomeClass::Failed, "500"),
                ] {
                    let shape = $shape;
                    assert_eq!(verdict!(shape(status)), verdict(class, code), "{}: {status}", stringify!($shape));
                    assert_eq!(verdict!(Ok::<_, ()>(shape(status))), verdict(class, code), "Ok: {}", stringify!($shape));
                    assert_eq!(verdict!(Err::<(), _>(shape(status))), verdict(class, code), "Err: {}", stringify!($shape));
                }
            )+};
        }
        both!(
            |status| status,
            |status| response(status),
            |status| (status,),
            |status| (status, "body"),
            |status| (status, headers, "body"),
            |status| (status, HeaderMap::new(), headers, String::new()),
            |status| (status, response(MISSING)),
            |status| (head(status), "body"),
            |status| (head(status).into_parts().0, headers, "body"),
            |status| (headers, status),
            |status| (HeaderMap::new(), AppendHeaders(headers), response(status)),
            |status| (headers, (status, "body")),
            |status| Box::new(response(status)),
        );
        let error = |status| Err::<(), ErrorResponse>((status, "body").into());
        assert_eq!(verdict!(error(MISSING)), verdict(OutcomeClass::Rejected, "404"));
        assert_eq!(verdict!(error(BROKEN)), verdict(OutcomeClass::Failed, "500"));
        assert_eq!(verdict!(Ok::<_, ErrorResponse>(BROKEN)), verdict(OutcomeClass::Failed, "500"));
        // A value beside a status is no header: this is no response.
        assert_eq!(verdict!((7_u8, BROKEN)), Verdict::OK);
    }

    #[test]
    #[cfg(feature = "http")]
    fn an_error_response_that_was_opened_is_the_same_response() {
        use axum::response::{ErrorResponse, IntoResponse};
        let mut returned = Err::<(), ErrorResponse>((http::StatusCode::CONFLICT, [("x-a", "b")], "taken").into());
        assert!((&&Opened::new(&mut returned)).__ironcore_telemetry_open().is_some());
        let response = returned.into_response();
        assert_eq!(
            (response.status(), &response.headers()["x-a"]),
            (http::StatusCode::CONFLICT, &"b".parse().unwrap())
        );
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(5));
    }
}
