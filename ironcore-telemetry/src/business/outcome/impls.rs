//! `Outcome` for types of other crates. The table in the documentation of [`Outcome`] lists them.

use super::{FAILED, KnownCodes, Outcome, OutcomeClass};
#[cfg(feature = "http")]
use super::{HeadedResponse, HttpOutcome};

/// `Some` is ok. `None` is rejected with the code `none`: it was not found, which is expected. As the error of a `Result`
/// it is failed.
impl<T> Outcome for Option<T> {
    fn class(&self) -> OutcomeClass {
        if self.is_some() { OutcomeClass::Ok } else { OutcomeClass::Rejected }
    }

    fn code(&self) -> &'static str {
        if self.is_some() { "" } else { "none" }
    }

    fn __ironcore_telemetry_in_err(&self) -> (OutcomeClass, &'static str) {
        FAILED
    }

    fn known_codes(codes: &mut KnownCodes) {
        codes.add(OutcomeClass::Rejected, "none");
    }
}

/// References and boxes have the outcome of the value.
macro_rules! pointers {
    ($($pointer:ty),+) => {
        $(impl<T: Outcome + ?Sized> Outcome for $pointer {
            fn class(&self) -> OutcomeClass {
                (**self).class()
            }

            fn code(&self) -> &'static str {
                (**self).code()
            }

            fn __ironcore_telemetry_in_err(&self) -> (OutcomeClass, &'static str) {
                (**self).__ironcore_telemetry_in_err()
            }
        })+
    };
}

pointers!(&T, Box<T>, std::sync::Arc<T>);

#[cfg(feature = "http")]
mod http {
    use super::{HeadedResponse, HttpOutcome, Outcome, OutcomeClass};
    use ::http::{Response, StatusCode, response};
    use axum::response::IntoResponseParts;

    /// 4xx is rejected, because the caller is at fault; 5xx is failed, any other status ok. The code is the status if
    /// it is a common one, else `4xx` or `5xx`.
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

    /// The outcome of the status. It is also axum's `Response`.
    impl<Body> Outcome for Response<Body> {
        fn class(&self) -> OutcomeClass {
            self.status().class()
        }

        fn code(&self) -> &'static str {
            self.status().code()
        }
    }

    /// The outcome of the status: axum handlers return such pairs.
    impl<Body> Outcome for (StatusCode, Body) {
        fn class(&self) -> OutcomeClass {
            self.0.class()
        }

        fn code(&self) -> &'static str {
            self.0.code()
        }
    }

    impl HttpOutcome for StatusCode {
        fn outcome(&self) -> &dyn Outcome {
            self
        }
    }

    impl HttpOutcome for response::Parts {
        fn outcome(&self) -> &dyn Outcome {
            &self.status
        }
    }

    impl<Body> HttpOutcome for Response<Body> {
        fn outcome(&self) -> &dyn Outcome {
            self
        }
    }

    impl<T: HttpOutcome + ?Sized> HttpOutcome for Box<T> {
        fn outcome(&self) -> &dyn Outcome {
            (**self).outcome()
        }
    }

    impl<R: HttpOutcome> HttpOutcome for (R,) {
        fn outcome(&self) -> &dyn Outcome {
            self.0.outcome()
        }
    }

    /// The responses that axum makes of tuples: first a status, a response without a body, or the parts of one, last the
    /// body, between them what sets headers. The outcome is that of the first.
    macro_rules! tuple {
        ($head:ty; $($part:ident)*) => {
            impl<$($part,)* R> HttpOutcome for ($head, $($part,)* R) {
                fn outcome(&self) -> &dyn Outcome {
                    self.0.outcome()
                }
            }
        };
    }

    /// Responses without a status of their own: what sets headers, then a response.
    macro_rules! headed {
        ($($part:ident)+) => {
            impl<$($part: IntoResponseParts,)+ R: HttpOutcome> HeadedResponse for ($($part,)+ R) {
                fn outcome(&self) -> &dyn Outcome {
                    let (.., response) = self;
                    response.outcome()
                }
            }
        };
    }

    /// For each number of parts up to that of axum.
    macro_rules! each_length {
        ($($part:ident)*) => {
            tuple!(StatusCode; $($part)*);
            tuple!(response::Parts; $($part)*);
            tuple!(Response<()>; $($part)*);
            each_length!(@headed $($part)*);
        };
        (@headed) => {};
        (@headed $first:ident $($part:ident)*) => {
            headed!($first $($part)*);
            each_length!($($part)*);
        };
    }

    each_length!(A B C D E F G H I J K L M N O P);
}

#[cfg(feature = "grpc")]
mod grpc {
    use super::{Outcome, OutcomeClass};
    use tonic::{Code, Status};

    /// The codes that OpenTelemetry counts as errors of a server are failed; the others are rejected, because the
    /// caller is at fault. The code is the name of the gRPC code in `snake_case`.
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
    fn none_is_rejected() {
        assert_eq!((None::<u8>.class(), None::<u8>.code()), (OutcomeClass::Rejected, "none"));
        assert_eq!(Some(1).class(), OutcomeClass::Ok);
    }

    #[test]
    #[cfg(feature = "http")]
    fn the_class_of_a_status_follows_its_first_digit() {
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
    fn the_class_of_a_grpc_code_is_that_of_opentelemetrys_servers() {
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
