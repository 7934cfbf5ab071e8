//! What a protocol says of an exchange.

use super::scope::Scope;
use super::series::CallSeries;
use crate::protocol::ResultLabel;
use bytes::Buf;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// The protocol and the side of an exchange: gives the result, and counts what only its protocol knows, such as
/// messages. The start, the one end, the duration and the drop are the [`Recording`](super::Recording)'s.
pub trait Classify: Sized {
    /// The label that tells results apart: a status, a code.
    type Result: ResultLabel;

    /// What the exchange is counted in. It may change until the end, as a gRPC method becomes known by its answer.
    fn series(&self) -> &'static CallSeries<Self::Result>;

    /// The head of the response has arrived. Returns whether no body follows, whatever the type of the body says.
    fn response(&mut self, status: StatusCode, headers: &HeaderMap) -> bool;

    /// A part of the response's body has passed.
    fn data(&mut self, scope: &Scope, data: &impl Buf);

    /// The trailers of the response have arrived.
    fn trailers(&mut self, _: &HeaderMap) {}

    /// There is an error instead of a response, or of the rest of its body.
    fn error<E: 'static>(&mut self, _: &E) {}

    /// How an exchange ended that was dropped before its end.
    fn dropped() -> End {
        End::Cancelled
    }

    /// The result of the exchange; called once, at its end.
    fn result(&mut self, scope: &Scope, end: End, duration: Duration) -> Self::Result;

    /// Writes the access line of the exchange, if it has one.
    fn log(&self, _: &Scope, _: End, _: Self::Result, _: Duration) {}

    /// Ends the span by [`Scope::end_span`], with what the protocol says of the end; called for sampled spans only.
    fn end_span(&self, scope: &Scope, end: End, result: Self::Result);
}

/// How an exchange ended.
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

/// How an exchange ended that a server dropped: a handler that panics drops its response while it unwinds.
#[inline]
pub(crate) fn dropped_by_server() -> End {
    if std::thread::panicking() { End::Panicked } else { End::Cancelled }
}
