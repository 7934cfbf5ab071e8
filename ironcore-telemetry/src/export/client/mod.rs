//! The OTLP clients: gRPC and HTTP with protobuf bodies, over connections of their own.

use super::answer::Answer;
use crate::config::{Otlp, Signal};
use crate::error::InitError;
use bytes::Bytes;

/// Sends encoded requests of one signal to the collector. Requests may be sent at the same time.
pub(crate) struct Client {}

impl Client {
    /// A client for the endpoint. It connects with the first request.
    ///
    /// # Errors
    /// The endpoint, a header or a certificate cannot be used.
    pub(crate) fn new(_otlp: &Otlp, _signal: Signal) -> Result<Self, InitError> {
        Ok(Self {})
    }

    /// Sends one request, whose encoded message is the concatenation of `parts`, and waits for the answer for at most the
    /// time limit of the settings.
    #[expect(clippy::unused_async, reason = "the shape of what follows")]
    pub(crate) async fn send(&self, _parts: Vec<Bytes>) -> Answer {
        Answer::Refused("not connected".to_owned())
    }
}
