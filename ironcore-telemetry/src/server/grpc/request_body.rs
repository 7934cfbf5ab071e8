//! The stream of a call's requests, whose messages are counted as the service reads them.

use crate::exchange::{Rpc, Tally};
use crate::protocol::grpc_messages::Messages;
use bytes::Buf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the messages that were received.
pub struct Received {
    messages: Messages,
    counted_in: CountedIn,
}

/// Where received messages are counted.
pub(super) enum CountedIn {
    Nothing,
    Rpc(&'static Rpc),
    /// Until the method of the call is known.
    Pending(Arc<AtomicU64>),
}

impl Received {
    pub(super) fn new(counted_in: CountedIn) -> Self {
        Self { messages: Messages::default(), counted_in }
    }
}

impl Tally for Received {
    fn add(&mut self, part: &impl Buf) {
        match &self.counted_in {
            CountedIn::Nothing => {}
            CountedIn::Rpc(rpc) => rpc.received.add(self.messages.begun_in(part)),
            CountedIn::Pending(pending) => {
                pending.fetch_add(self.messages.begun_in(part), Ordering::Relaxed);
            }
        }
    }
}
