//! The way of spans and metrics to the collector: the queue, the requests and the OTLP clients.

mod account;
mod answer;
mod batch;
#[cfg(any(feature = "otlp-grpc", feature = "otlp-http"))]
mod client;
#[cfg(not(any(feature = "otlp-grpc", feature = "otlp-http")))]
#[path = "no_client.rs"]
mod client;
mod pause;
mod queue;
#[cfg_attr(not(all(unix, feature = "spool")), path = "no_spool.rs")]
mod spool;
pub(crate) mod values;
pub(crate) mod wire;

pub(crate) use account::Reason;
pub(crate) use answer::{Answer, Cause, Failure};
pub(crate) use client::Client;
pub(crate) use pause::LONGEST_HINT;
pub(crate) use queue::{NEVER_REACHED, Queue, Record, Transport};

use bytes::Bytes;

impl Transport for Client {
    fn send(&self, parts: Vec<Bytes>) -> impl Future<Output = Answer> + Send {
        // The method of its own, which has precedence.
        Client::send(self, parts)
    }
}
