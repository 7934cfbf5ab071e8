//! Extractors of bodies and queries. Their rejections never quote the input: a request may carry a mnemonic, and the
//! messages of serde and axum repeat what they could not read.

use crate::error::ApiError;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// A body or a query that documents itself: a rejection lists the allowed fields in place of the bad ones.
pub(crate) trait RequestInput: DeserializeOwned {
    /// The fields and their allowed values, for the message of a rejection.
    const ALLOWED: &'static str;
}

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

/// A query string.
pub(crate) struct QueryParams<T>(pub(crate) T);

impl<S: Send + Sync, T: RequestInput> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJson);
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge,
            _ => ApiError::BodyCutOff,
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| ApiError::BadBody {
            fault: fault(&error),
            line: error.line(),
            column: error.column(),
            allowed: T::ALLOWED,
        })
    }
}

impl<S: Send + Sync, T: RequestInput> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(ApiError::BadQuery { allowed: T::ALLOWED }),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What is wrong, by the fixed beginning of serde's message: the rest of it may quote the input.
fn fault(error: &serde_json::Error) -> &'static str {
    const FAULTS: [(&str, &str); 6] = [
        ("missing field", "a field is missing"),
        ("unknown field", "a field is unknown"),
        ("duplicate field", "a field stands there twice"),
        ("unknown variant", "a value is not one of the allowed ones"),
        ("invalid type", "a value has the wrong type"),
        ("invalid value", "a value is out of range"),
    ];
    if !error.is_data() {
        return "it is not valid JSON";
    }
    let message = error.to_string();
    FAULTS.iter().find(|(start, _)| message.starts_with(start)).map_or("a value has the wrong form", |(_, fault)| fault)
}
