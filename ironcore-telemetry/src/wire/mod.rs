//! What all layers share: one exchange of a request and its response, followed to the end of the response's body.

mod body;
mod calls;
mod future;
mod label;
#[cfg(feature = "http")]
mod method;
#[cfg(feature = "grpc")]
mod rpc;

pub use body::RecordedBody;
pub(crate) use calls::{Calls, Metrics};
pub use future::RecordedResponse;
pub(crate) use label::{Hints, Known};
#[cfg(feature = "http")]
pub(crate) use method::{METHODS, MethodIndex, method_index, protocol_version};
#[cfg(feature = "grpc")]
pub(crate) use rpc::{Code, Messages, method_of, timeout_of};

use bytes::Buf;
use http::{HeaderMap, Response};
use opentelemetry::{Context, ContextGuard};

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

    /// There is an error instead of a response.
    fn failed<E: 'static>(&mut self, _: &E) {}

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

impl End {
    /// What a drop means.
    pub(crate) fn of_drop() -> Self {
        if std::thread::panicking() {
            Self::Panicked
        } else {
            Self::Cancelled
        }
    }
}
