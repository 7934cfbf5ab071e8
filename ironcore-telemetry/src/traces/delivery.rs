//! What an attempt to export means for its batch, by the OTLP specification ("Failures").

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

/// What becomes of the batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The collector has it.
    Delivered,
    /// The collector will not take it, however often it is asked.
    Refused,
    /// It may be taken next time.
    Failed,
}

/// The gRPC codes on which OTLP allows another attempt. `ResourceExhausted` is one only with a hint of the server's,
/// which the exporter does not pass on; a collector that is merely full answers so, and its batch is worth keeping.
const RETRYABLE_CODES: &[&str] = &[
    "Cancelled",
    "DeadlineExceeded",
    "Aborted",
    "OutOfRange",
    "Unavailable",
    "DataLoss",
    "ResourceExhausted",
    // What the transport makes of a connection that broke.
    "Unknown",
];

/// The HTTP statuses on which OTLP allows another attempt.
const RETRYABLE_STATUSES: &[&str] = &["429", "502", "503", "504"];

/// Judges the result of an export. The exporter's error is text that ends in the code; what holds none of the codes that
/// are final (an unreachable collector, a time-out) may be tried again.
pub(super) fn judge(result: &OTelSdkResult) -> Verdict {
    let Err(error) = result else {
        return Verdict::Delivered;
    };
    let text = match error {
        OTelSdkError::InternalFailure(text) => text.as_str(),
        OTelSdkError::Timeout(_) | OTelSdkError::AlreadyShutdown => return Verdict::Failed,
    };
    let code = |mark: &str| {
        let (_, code) = text.split_once(mark)?;
        code.split(|c: char| !c.is_alphanumeric()).next()
    };
    let is_final = |mark, retryable: &[&str]| code(mark).is_some_and(|code| !retryable.contains(&code));
    if is_final("gRPC code: ", RETRYABLE_CODES) || is_final("status code: ", RETRYABLE_STATUSES) {
        Verdict::Refused
    } else {
        Verdict::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> Verdict {
        judge(&Err(OTelSdkError::InternalFailure(text.to_owned())))
    }

    #[test]
    fn success_is_delivered() {
        assert_eq!(judge(&Ok(())), Verdict::Delivered);
    }

    #[test]
    fn grpc_codes_are_final_or_not_as_otlp_says() {
        for code in ["Cancelled", "DeadlineExceeded", "Aborted", "OutOfRange", "Unavailable", "DataLoss"] {
            let text = format!("TonicTracesClient export failed with gRPC code: {code}: transport error");
            assert_eq!(failure(&text), Verdict::Failed, "{code}");
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
            assert_eq!(failure(&text), Verdict::Refused, "{code}");
        }
    }

    #[test]
    fn http_statuses_are_final_or_not_as_otlp_says() {
        for (status, verdict) in [
            (400, Verdict::Refused),
            (401, Verdict::Refused),
            (404, Verdict::Refused),
            (413, Verdict::Refused),
            (429, Verdict::Failed),
            (500, Verdict::Refused),
            (502, Verdict::Failed),
            (503, Verdict::Failed),
            (504, Verdict::Failed),
        ] {
            assert_eq!(failure(&format!("HTTP export failed with status code: {status}")), verdict, "{status}");
        }
    }

    #[test]
    fn what_never_reached_the_collector_is_tried_again() {
        assert_eq!(failure("network error: connection refused"), Verdict::Failed);
        assert_eq!(judge(&Err(OTelSdkError::Timeout(std::time::Duration::from_secs(1)))), Verdict::Failed);
    }
}
