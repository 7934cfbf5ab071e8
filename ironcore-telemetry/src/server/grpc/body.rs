//! The stream of a call's requests, whose messages are counted as the service reads them.

use super::series::Rpc;
use crate::wire::{CountedBody, Messages, Tally};
use bytes::Buf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Body of the request of a recorded call.
pub type GrpcRequestBody<B> = CountedBody<B, Received>;

/// Counts the messages that were received.
pub struct Received {
    messages: Messages,
    place: Place,
}

/// Where received messages are counted.
pub(super) enum Place {
    Nowhere,
    Of(&'static Rpc),
    /// Until it is known whether there is such a method.
    Kept(Arc<AtomicU64>),
}

impl Received {
    pub(super) fn at(place: Place) -> Self {
        Self { messages: Messages::default(), place }
    }
}

impl Tally for Received {
    fn add(&mut self, part: &impl Buf) {
        match &self.place {
            Place::Nowhere => {}
            Place::Of(rpc) => rpc.received.add(self.messages.begun_in(part)),
            Place::Kept(kept) => {
                kept.fetch_add(self.messages.begun_in(part), Ordering::Relaxed);
            }
        }
    }
}
