//! What the results of other crates mean to the business.

use super::outcome::{Outcome, OutcomeClass};

/// `Some` is ok; `None`, an answer that there is nothing, is an expected refusal with the code `none`.
impl<T> Outcome for Option<T> {
    fn class(&self) -> OutcomeClass {
        if self.is_some() { OutcomeClass::Ok } else { OutcomeClass::Rejected }
    }

    fn code(&self) -> &'static str {
        if self.is_some() { "" } else { "none" }
    }
}

/// Through references and boxes, as errors are passed on.
macro_rules! through {
    ($($pointer:ty),+) => {
        $(impl<T: Outcome + ?Sized> Outcome for $pointer {
            fn class(&self) -> OutcomeClass {
                (**self).class()
            }

            fn code(&self) -> &'static str {
                (**self).code()
            }
        })+
    };
}

through!(&T, Box<T>, std::sync::Arc<T>);

#[cfg(feature = "http")]
mod http {
    use super::{Outcome, OutcomeClass};
    use ::http::{Response, StatusCode};

    /// 4xx is the caller's fault and so a refusal, 5xx a failure, anything else ok. The code is the status where it is one
    /// of the common ones, else `4xx` or `5xx`.
    impl Outcome for StatusCode {
        fn class(&self) -> OutcomeClass {
            if self.is_server_error() {
                OutcomeClass::Failed
            } else if self.is_client_error() {
                OutcomeClass::Rejected
            } else {
                OutcomeClass::Ok
            }
        }

        fn code(&self) -> &'static str {
            const COMMON: [(u16, &str); 16] = [
                (400, "400"),
                (401, "401"),
                (402, "402"),
                (403, "403"),
                (404, "404"),
                (405, "405"),
                (408, "408"),
                (409, "409"),
                (413, "413"),
                (415, "415"),
                (422, "422"),
                (429, "429"),
                (500, "500"),
                (502, "502"),
                (503, "503"),
                (504, "504"),
            ];
            let common = COMMON.iter().find(|(status, _)| *status == self.as_u16());
            match (common, self.class()) {
                (Some((_, code)), _) => code,
                (None, OutcomeClass::Failed) => "5xx",
                (None, OutcomeClass::Rejected) => "4xx",
                (None, _) => "",
            }
        }
    }

    /// By its status. This is axum's `Response` too.
    impl<Body> Outcome for Response<Body> {
        fn class(&self) -> OutcomeClass {
            self.status().class()
        }

        fn code(&self) -> &'static str {
            self.status().code()
        }
    }

    /// By its status: what axum handlers return.
    impl<Body> Outcome for (StatusCode, Body) {
        fn class(&self) -> OutcomeClass {
            self.0.class()
        }

        fn code(&self) -> &'static str {
            self.0.code()
        }
    }
}

#[cfg(feature = "grpc")]
mod grpc {
    use super::{Outcome, OutcomeClass};
    use tonic::{Code, Status};

    /// The codes that OpenTelemetry counts as errors of a server are failures, the others the caller's fault. The code is
    /// the name of the gRPC code in `snake_case`.
    impl Outcome for Status {
        fn class(&self) -> OutcomeClass {
            match self.code() {
                Code::Ok => OutcomeClass::Ok,
                Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss => OutcomeClass::Failed,
                _ => OutcomeClass::Rejected,
            }
        }

        fn code(&self) -> &'static str {
            match self.code() {
                Code::Ok => "",
                Code::Cancelled => "cancelled",
                Code::Unknown => "unknown",
                Code::InvalidArgument => "invalid_argument",
                Code::DeadlineExceeded => "deadline_exceeded",
                Code::NotFound => "not_found",
                Code::AlreadyExists => "already_exists",
                Code::PermissionDenied => "permission_denied",
                Code::ResourceExhausted => "resource_exhausted",
                Code::FailedPrecondition => "failed_precondition",
                Code::Aborted => "aborted",
                Code::OutOfRange => "out_of_range",
                Code::Unimplemented => "unimplemented",
                Code::Internal => "internal",
                Code::Unavailable => "unavailable",
                Code::DataLoss => "data_loss",
                Code::Unauthenticated => "unauthenticated",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_refusal() {
        assert_eq!((None::<u8>.class(), None::<u8>.code()), (OutcomeClass::Rejected, "none"));
        assert_eq!(Some(1).class(), OutcomeClass::Ok);
    }

    #[test]
    #[cfg(feature = "http")]
    fn statuses_are_judged_by_their_hundred() {
        use ::http::{Response, StatusCode};
        for (status, class, code) in [
            (201, OutcomeClass::Ok, ""),
            (304, OutcomeClass::Ok, ""),
            (404, OutcomeClass::Rejected, "404"),
            (418, OutcomeClass::Rejected, "4xx"),
            (503, OutcomeClass::Failed, "503"),
            (599, OutcomeClass::Failed, "5xx"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!((status.class(), status.code()), (class, code), "{status}");
            let response = Response::builder().status(status).body(()).unwrap();
            assert_eq!((response.class(), (status, "body").class()), (class, class), "{status}");
        }
    }

    #[test]
    #[cfg(feature = "grpc")]
    fn grpc_codes_are_judged_as_opentelemetry_judges_servers() {
        use tonic::Status;
        for (status, class, code) in [
            (Status::not_found("x"), OutcomeClass::Rejected, "not_found"),
            (Status::unavailable("x"), OutcomeClass::Failed, "unavailable"),
            (Status::resource_exhausted("x"), OutcomeClass::Rejected, "resource_exhausted"),
        ] {
            assert_eq!((status.class(), Outcome::code(&status)), (class, code));
        }
    }
}
