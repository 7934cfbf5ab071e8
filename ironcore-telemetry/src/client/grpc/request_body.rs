//! The stream of a call's requests, whose messages are counted as they are sent.

use crate::exchange::{CountedBody, Rpc, Tally};
use crate::protocol::grpc_messages::Messages;
use bytes::Buf;
use tonic::body::Body as TonicBody;

/// The same body, its messages counted.
pub(super) fn counted(inner: TonicBody, rpc: &'static Rpc) -> TonicBody {
    let messages = Messages::default();
    TonicBody::new(CountedBody::new(inner, Sent { messages, rpc }))
}

struct Sent {
    messages: Messages,
    rpc: &'static Rpc,
}

impl Tally for Sent {
    fn add(&mut self, part: &impl Buf) {
        self.rpc.sent.add(self.messages.begun_in(part));
    }
}
