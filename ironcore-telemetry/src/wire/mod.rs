//! What all layers share: one exchange of a request and its response, followed to the end of the response's body.

mod body;
mod calls;
mod counted;
mod future;
mod label;
#[cfg(feature = "http")]
mod method;
#[cfg(feature = "grpc")]
mod rpc;

use crate::names::attribute;
pub use body::RecordedBody;
use bytes::Buf;
pub(crate) use calls::{CallSeries, Metrics};
pub use counted::CountedBody;
pub(crate) use counted::Tally;
pub use future::RecordedResponse;
use http::{HeaderMap, Response};
pub(crate) use label::{Interned, Key, ThreadCache};
#[cfg(feature = "http")]
pub(crate) use method::{
    METHODS, MethodIndex, closed_status, is_other_status, method_index, protocol_version, status_attribute,
    status_label,
};
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard, KeyValue};
#[cfg(feature = "grpc")]
pub(crate) use rpc::{Code, Messages, method_of, timeout_of};
use std::borrow::Cow;

/// A request that has begun. Dropped before its end, it was given up.
pub trait Exchange: Sized {
    /// What it is handled in: its span.
    fn context(&self) -> &Context;

    /// The head of the response is there. Whether no body follows, whatever its type says.
    fn answered<B>(&mut self, response: &mut Response<B>) -> bool;

    /// A part of the response's body.
    fn data(&mut self, data: &impl Buf);

    /// What follows the response's body.
    fn trailers(&mut self, trailers: &HeaderMap);

    /// There is an error instead of a response, or of the rest of its body.
    fn failed<E: 'static>(&mut self, _: &E) {}

    /// What it means that nobody has waited for the end.
    fn dropped() -> End {
        End::Cancelled
    }

    /// The exchange is over.
    fn end(self, end: End);

    /// Makes its span the current one until the guard is dropped.
    fn enter(&self) -> ContextGuard {
        self.context().clone().attach()
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The response was handed over to its end.
    Complete,
    /// There was an error instead of a response.
    Failed,
    /// The body of the response broke off with an error.
    Broken,
    /// Given up: by the caller of a server, by the user of a client.
    Cancelled,
    /// The code below the layer panicked.
    Panicked,
}

/// Ends the span of an exchange with its status, and with what went wrong; `is_error` says whether that was a fault.
pub(crate) fn end_span(context: &Context, status: Option<KeyValue>, error: Option<Cow<'static, str>>, is_error: bool) {
    let span = context.span();
    if let Some(status) = status {
        span.set_attribute(status);
    }
    if let Some(error) = error {
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
    }
    if is_error {
        span.set_status(Status::error(""));
    }
    span.end();
}

/// What it means to a server that nobody has waited for the end: a handler that panics takes its response along.
pub(crate) fn dropped_by_server() -> End {
    if std::thread::panicking() { End::Panicked } else { End::Cancelled }
}
