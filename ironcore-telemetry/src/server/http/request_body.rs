//! The request's body, counted as the service reads it.

use super::series::Endpoint;
use crate::exchange::{CountedBody, Tally};
use axum::body::Body as AxumBody;
use bytes::Buf;
use http::Request;
use http_body::Body;
use std::any::Any;

/// Counts what the service reads of a request's body. Only axum's type of body can be wrapped and keep its type, which
/// is the type that the service below takes.
#[inline]
pub(super) fn count_request_body<B: Body + 'static>(request: &mut Request<B>, endpoint: &'static Endpoint) {
    if request.body().is_end_stream() {
        return;
    }
    if let Some(body) = (request.body_mut() as &mut dyn Any).downcast_mut::<AxumBody>() {
        let inner = std::mem::take(body);
        *body = AxumBody::new(CountedBody::new(inner, RequestBytes(endpoint)));
    }
}

struct RequestBytes(&'static Endpoint);

impl Tally for RequestBytes {
    fn add(&mut self, part: &impl Buf) {
        let bytes = u64::try_from(part.remaining()).unwrap_or(u64::MAX);
        self.0.request_body.add(bytes);
    }
}
