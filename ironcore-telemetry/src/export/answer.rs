//! What the collector's answer to one request means for what was sent, by the OTLP specification ("Failures").

use std::time::Duration;

/// How one attempt to deliver a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The collector took the request.
    Accepted {
        /// How many of the items it did not take, and will not (partial success).
        rejected: u64,
        /// What it said of them.
        message: Option<String>,
    },
    /// The request is larger than the collector takes; a smaller one may pass.
    TooLarge(String),
    /// The collector will never accept the request.
    Refused(String),
    /// Another attempt may succeed.
    Failed(Failure),
}

/// Why an attempt failed that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// What went wrong, for the log line. It holds no credentials, and of the collector's text at most a short part.
    pub(crate) text: String,
    /// How long the collector asked to wait (`Retry-After`, `RetryInfo`).
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into(), retry_after: None }
    }
}

/// How far an attempt came that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no connection: nothing was sent.
    Unreachable,
    /// The connection broke, or no answer came in time: the request may have arrived.
    Broken,
    /// The collector answered that it cannot take the request now.
    Busy,
}

impl Answer {
    /// The attempt ended without an answer.
    pub(crate) fn broken(text: impl Into<String>) -> Self {
        Self::Failed(Failure { cause: Cause::Broken, text: text.into(), retry_after: None })
    }
}
