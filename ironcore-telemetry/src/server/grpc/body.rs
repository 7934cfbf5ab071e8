//! The stream of a call's requests, whose messages are counted as the service reads them.

use super::series::Rpc;
use crate::wire::Messages;
use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

pin_project! {
    /// Body of the request of a recorded call.
    pub struct GrpcRequestBody<B> {
        #[pin]
        inner: B,
        messages: Messages,
        received: Received,
    }
}

/// Where received messages are counted.
#[derive(Clone)]
pub(super) enum Received {
    Nowhere,
    Of(&'static Rpc),
    /// Until it is known whether there is such a method.
    Kept(Arc<AtomicU64>),
}

impl Received {
    fn add(&self, messages: u64) {
        match self {
            Self::Nowhere => {}
            Self::Of(rpc) => rpc.received.add(messages),
            Self::Kept(kept) => {
                kept.fetch_add(messages, Ordering::Relaxed);
            }
        }
    }
}

impl<B> GrpcRequestBody<B> {
    pub(super) fn new(inner: B, received: Received) -> Self {
        Self {
            inner,
            messages: Messages::default(),
            received,
        }
    }
}

impl<B> std::fmt::Debug for GrpcRequestBody<B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("GrpcRequestBody")
    }
}

impl<B: Body> Body for GrpcRequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(task));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && data.has_remaining()
        {
            this.received.add(this.messages.begun_in(data));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
