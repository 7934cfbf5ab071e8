//! What the four layers share: the recording of one request and its response, from the first byte to the end of the
//! response's body.
//!
//! [`Recording`] owns the span, the in-flight gauge, the one end and the one drop. A protocol and a side (server or
//! client) are a [`Classify`]: it gives the result, and counts what only its protocol knows.

mod classify;
mod interned;
mod recording;
mod request_body;
mod response_body;
mod response_future;
#[cfg(feature = "grpc")]
mod rpc;
mod scope;
mod series;

pub(crate) use classify::{Classify, End, dropped_by_server};
pub(crate) use interned::{Interned, Key, ThreadCache};
pub(crate) use recording::Recording;
pub(crate) use request_body::{CountedBody, Tally};
pub(crate) use response_body::ResponseBody;
pub(crate) use response_future::ResponseFuture;
#[cfg(feature = "grpc")]
pub(crate) use rpc::{Rpc, RpcMetrics};
pub(crate) use scope::Scope;
pub(crate) use series::{CallMetrics, CallSeries};
