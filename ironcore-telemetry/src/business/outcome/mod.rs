//! How an operation ended: the verdict alone, recorded elsewhere.

/// How a business operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutcomeClass {
    /// It did what was asked.
    Ok,
    /// It was refused for a reason that lies with the caller and is expected, such as insufficient funds: not an
    /// error of the service, and no alert.
    Rejected,
    /// It failed for a reason that lies with the service.
    Failed,
    /// Its future was dropped before it ended.
    Cancelled,
    /// It panicked.
    Panicked,
}

impl OutcomeClass {
    /// Its name as the value of the label `outcome`.
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

/// What a result means to the business. Implement it for the error type of a service; a `Result` of it then has a
/// verdict too.
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
pub trait Outcome {
    /// How the operation ended.
    fn class(&self) -> OutcomeClass;

    /// Why, as one word out of a small fixed set: it becomes the label `code`. Empty when there is nothing to say.
    fn code(&self) -> &'static str {
        ""
    }
}

impl<T, E: Outcome> Outcome for Result<T, E> {
    fn class(&self) -> OutcomeClass {
        self.as_ref().map_or_else(Outcome::class, |_| OutcomeClass::Ok)
    }

    fn code(&self) -> &'static str {
        self.as_ref().map_or_else(Outcome::code, |_| "")
    }
}

impl Outcome for () {
    fn class(&self) -> OutcomeClass {
        OutcomeClass::Ok
    }
}
