//! How an operation ended. Here is only the vocabulary; nothing is recorded here.

mod codes;
mod impls;

pub use codes::{CodesByOutcome, CodesOf, KnownCodes, NoCodes};

/// How a business operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutcomeClass {
    /// It did what was asked.
    Ok,
    /// It was refused for an expected reason that lies with the caller, such as insufficient funds. It is not an error
    /// of the service and raises no alert.
    Rejected,
    /// It failed for a reason that lies with the service.
    Failed,
    /// Its future was dropped before it ended.
    Cancelled,
    /// It panicked.
    Panicked,
}

impl OutcomeClass {
    /// The value of the label `outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}

/// What a result means to the business: a class and a code. Implement it for the error types of a service, or
/// [derive it](macro@crate::Outcome); a `Result` with such an error then has an outcome too.
///
/// ```
/// use ironcore_telemetry::{Outcome, OutcomeClass};
///
/// enum TransferError {
///     InsufficientFunds,
///     SignerUnavailable,
/// }
///
/// impl Outcome for TransferError {
///     fn class(&self) -> OutcomeClass {
///         match self {
///             Self::InsufficientFunds => OutcomeClass::Rejected,
///             Self::SignerUnavailable => OutcomeClass::Failed,
///         }
///     }
///
///     fn code(&self) -> &'static str {
///         match self {
///             Self::InsufficientFunds => "insufficient_funds",
///             Self::SignerUnavailable => "signer_unavailable",
///         }
///     }
/// }
///
/// let refused: Result<(), _> = Err(TransferError::InsufficientFunds);
/// assert_eq!(refused.class(), OutcomeClass::Rejected);
/// ```
///
/// # Outcomes of types that are not yours
///
/// `#[instrument_business]` reads a returned value so:
///
/// | returned value | class | code |
/// |---|---|---|
/// | `()` | `ok` | |
/// | `Some(_)` | `ok` | |
/// | `None` | `rejected` | `none` |
/// | `Ok(response)`, an HTTP response (below) | that of the response | that of the response |
/// | `Ok(_)` of another type | `ok` | |
/// | `Err(())`, `Err(None)` | `failed` | `error` |
/// | `Err(Some(error))` | as `Err(error)` | as `Err(error)` |
/// | `Err(error)` of another type that implements `Outcome` | that of the error | that of the error |
/// | `Err(_)` of another type | `failed` | `error` |
/// | `&T`, `Box<T>`, `Arc<T>` of a type that implements `Outcome` | that of the `T` | that of the `T` |
/// | any other type | `ok` | |
///
/// With the feature `http` (a default), `http::StatusCode`, `http::Response<_>` (axum's `Response` too) and the pair
/// `(StatusCode, _)` implement `Outcome`, by their status. `#[instrument_business]` knows every shape that axum makes a
/// response of, as a value, in an `Ok` and in an `Err`: also longer tuples, such as `(StatusCode, HeaderMap, Json<_>)`,
/// tuples that begin with `http::response::Parts` or with headers, the `ErrorResponse` of `axum::response::Result`, and
/// the concrete type behind an `impl IntoResponse`. The outcome is that of what the function
/// returns: what layers around it change is counted by the layers around them. A type of yours that implements
/// `IntoResponse` implements `Outcome` too if its status matters.
///
/// | status | class | code |
/// |---|---|---|
/// | 4xx | `rejected` | the status if it is 400 to 405, 408, 409, 413, 415, 422 or 429, else `4xx` |
/// | 5xx | `failed` | the status if it is 500, 502, 503 or 504, else `5xx` |
/// | any other | `ok` | |
///
/// With the feature `grpc` (a default), `tonic::Status` implements `Outcome`, by its code. The failed ones are those
/// that OpenTelemetry counts as errors of a server.
///
/// | gRPC code | class | code |
/// |---|---|---|
/// | `Ok` | `ok` | |
/// | `Unknown`, `DeadlineExceeded`, `Unimplemented`, `Internal`, `Unavailable`, `DataLoss` | `failed` | its name: `data_loss` |
/// | any other | `rejected` | its name: `not_found` |
///
/// Without the feature these types are like any other: `ok` as a returned value, and `failed` with the code `error` as
/// the error of a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `Outcome`",
    label = "has no verdict that could be taken over",
    note = "of a type of yours: derive or implement `telemetry::Outcome` for it",
    note = "of a type of another crate: give the variant that holds it a verdict of its own, `#[outcome(failed)]` or \
            `#[outcome(rejected)]`, in place of `#[outcome(forward)]`"
)]
pub trait Outcome {
    /// How the operation ended.
    fn class(&self) -> OutcomeClass;

    /// The reason, one of a small fixed set of words. It becomes the label `code` of an operation that was rejected or
    /// failed. Empty when there is none.
    fn code(&self) -> &'static str {
        ""
    }

    /// The class and the code as the error of a `Result`: `()` and `Option` say `ok` of themselves, but not of that.
    #[doc(hidden)]
    fn __ironcore_telemetry_in_err(&self) -> (OutcomeClass, &'static str) {
        (self.class(), self.code())
    }

    /// Names the codes that are known before anything happened. They stand at zero on `/metrics` from `init` on, for
    /// each instrumented function whose signature names the error type: a series that begins with its first failure
    /// hides it, because Prometheus sees no increase. The derive names all codes of the variants.
    ///
    /// An attribute on a single function does not see a block around it. There, only the codes of a type that cannot be
    /// a parameter of the block are known: one of the module, or one with a path, and no such names inside of it. An
    /// attribute on the block itself has no such limit. The codes of a type that is declared in a function are not known.
    ///
    /// ```
    /// # use ironcore_telemetry::{KnownCodes, Outcome, OutcomeClass};
    /// # struct SignerError;
    /// impl Outcome for SignerError {
    ///     # fn class(&self) -> OutcomeClass { OutcomeClass::Failed }
    ///     // class and code …
    ///     fn known_codes(codes: &mut KnownCodes) {
    ///         codes.add(OutcomeClass::Failed, "signer_unavailable");
    ///     }
    /// }
    /// ```
    fn known_codes(codes: &mut KnownCodes)
    where
        Self: Sized,
    {
        let _ = codes;
    }
}

/// What has an HTTP status. It is judged in an `Ok` too, where other values are not.
pub trait HttpOutcome {
    /// The outcome of the status.
    fn outcome(&self) -> &dyn Outcome;
}

/// A response after values that set its headers.
pub trait HeadedResponse {
    /// The outcome of the response.
    fn outcome(&self) -> &dyn Outcome;
}

impl<T, E: Outcome> Outcome for Result<T, E> {
    fn class(&self) -> OutcomeClass {
        self.as_ref().map_or_else(|error| error.__ironcore_telemetry_in_err().0, |_| OutcomeClass::Ok)
    }

    fn code(&self) -> &'static str {
        self.as_ref().map_or_else(|error| error.__ironcore_telemetry_in_err().1, |_| "")
    }

    fn __ironcore_telemetry_in_err(&self) -> (OutcomeClass, &'static str) {
        self.as_ref().map_or_else(Outcome::__ironcore_telemetry_in_err, |_| FAILED)
    }

    fn known_codes(codes: &mut KnownCodes) {
        E::known_codes(codes);
    }
}

/// As the error of a `Result` it is failed.
impl Outcome for () {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Ok
    }

    fn __ironcore_telemetry_in_err(&self) -> (OutcomeClass, &'static str) {
        FAILED
    }
}

/// An error that says nothing of itself.
const FAILED: (OutcomeClass, &str) = (OutcomeClass::Failed, "error");
