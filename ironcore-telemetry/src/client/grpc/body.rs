//! The stream of a call's requests, whose messages are counted as they are sent.

use super::series::Rpc;
use crate::wire::Messages;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tonic::body::Body as TonicBody;

/// The same body, counted.
pub(super) fn counted(inner: TonicBody, rpc: &'static Rpc) -> TonicBody {
    TonicBody::new(Counted {
        inner,
        messages: Messages::default(),
        rpc,
    })
}

pin_project! {
    struct Counted {
        #[pin]
        inner: TonicBody,
        messages: Messages,
        rpc: &'static Rpc,
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(task));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.rpc.sent.add(this.messages.begun_in(data));
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
