//! The request's body, counted as it passes.

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

/// Where the parts of a body are counted.
pub(crate) trait Tally {
    /// Counts a part.
    fn add(&mut self, part: &impl Buf);
}

pin_project! {
    /// Body of a request whose parts are counted.
    pub struct CountedBody<B, T> {
        #[pin]
        inner: B,
        tally: T,
    }
}

impl<B, T> CountedBody<B, T> {
    pub(crate) const fn new(inner: B, tally: T) -> Self {
        Self { inner, tally }
    }
}

impl<B, T> std::fmt::Debug for CountedBody<B, T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CountedBody")
    }
}

impl<B: Body, T: Tally> Body for CountedBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(task));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && data.has_remaining()
        {
            this.tally.add(data);
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
