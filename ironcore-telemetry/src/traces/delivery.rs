//! The result of an attempt to export a batch, judged by the OTLP specification ("Failures").

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

/// How an attempt to deliver a batch ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The collector acknowledged the batch.
    Acknowledged,
    /// The collector will never accept the batch.
    Refused,
    /// Another attempt may succeed.
    Retryable,
}

/// The gRPC codes after which OTLP allows a retry. For `ResourceExhausted` it does so only with a `RetryInfo` of the
/// server, which the exporter does not pass on; an overloaded collector answers with this code, so the batch is kept.
const RETRYABLE_CODES: &[&str] = &[
    "Cancelled",
    "DeadlineExceeded",
    "Aborted",
    "OutOfRange",
    "Unavailable",
    "DataLoss",
    "ResourceExhausted",
    // The transport reports a broken connection with this code.
    "Unknown",
];

/// The HTTP statuses after which OTLP allows a retry.
const RETRYABLE_STATUSES: &[&str] = &["429", "502", "503", "504"];

impl Delivery {
    /// Judges the result of an export. The exporter's error is text that ends in the code. Without a final code (an
    /// unreachable collector, a time-out) the batch may be sent again.
    pub(super) fn judge(result: &OTelSdkResult) -> Self {
        let Err(error) = result else {
            return Self::Acknowledged;
        };
        let text = match error {
            OTelSdkError::InternalFailure(text) => text.as_str(),
            OTelSdkError::Timeout(_) | OTelSdkError::AlreadyShutdown => return Self::Retryable,
        };
        let code = |mark: &str| {
            let (_, code) = text.split_once(mark)?;
            code.split(|c: char| !c.is_alphanumeric()).next()
        };
        let is_final = |mark, retryable: &[&str]| code(mark).is_some_and(|code| !retryable.contains(&code));
        if is_final("gRPC code: ", RETRYABLE_CODES) || is_final("status code: ", RETRYABLE_STATUSES) {
            Self::Refused
        } else {
            Self::Retryable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Delivery {
        Delivery::judge(&Err(OTelSdkError::InternalFailure(text.to_owned())))
    }

    #[test]
    fn success_is_an_acknowledgement() {
        assert_eq!(Delivery::judge(&Ok(())), Delivery::Acknowledged);
    }

    #[test]
    fn grpc_codes_are_retryable_as_otlp_specifies() {
        for code in ["Cancelled", "DeadlineExceeded", "Aborted", "OutOfRange", "Unavailable", "DataLoss"] {
            let text = format!("TonicTracesClient export failed with gRPC code: {code}: transport error");
            assert_eq!(failure(&text), Delivery::Retryable, "{code}");
        }
        for code in [
            "InvalidArgument",
            "NotFound",
            "AlreadyExists",
            "PermissionDenied",
            "Unauthenticated",
            "FailedPrecondition",
            "Unimplemented",
            "Internal",
        ] {
            let text = format!("TonicTracesClient export failed with gRPC code: {code}");
            assert_eq!(failure(&text), Delivery::Refused, "{code}");
        }
    }

    #[test]
    fn http_statuses_are_retryable_as_otlp_specifies() {
        for (status, delivery) in [
            (400, Delivery::Refused),
            (401, Delivery::Refused),
            (404, Delivery::Refused),
            (413, Delivery::Refused),
            (429, Delivery::Retryable),
            (500, Delivery::Refused),
            (502, Delivery::Retryable),
            (503, Delivery::Retryable),
            (504, Delivery::Retryable),
        ] {
            assert_eq!(failure(&format!("HTTP export failed with status code: {status}")), delivery, "{status}");
        }
    }

    #[test]
    fn a_batch_that_never_reached_the_collector_is_retryable() {
        assert_eq!(failure("network error: connection refused"), Delivery::Retryable);
        assert_eq!(
            Delivery::judge(&Err(OTelSdkError::Timeout(std::time::Duration::from_secs(1)))),
            Delivery::Retryable
        );
    }
}
