//! The response's body: its end is the end of the exchange.

use super::classify::{Classify, End};
use super::recording::Recording;
use crate::guarded::Guarded;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

pin_project! {
    /// Body of the response of a recorded exchange.
    pub struct ResponseBody<B, C: Classify> {
        #[pin]
        guarded: Guarded<B, Recording<C>>,
    }
}

impl<B: Body, C: Classify> ResponseBody<B, C> {
    /// A response whose body ends the exchange; a response without a body ends it at once.
    #[inline]
    pub(super) fn wrap(mut response: Response<B>, mut recording: Option<Recording<C>>) -> Response<Self> {
        if let Some(running) = &mut recording
            && running.response(&mut response)
        {
            running.finish(End::Complete);
            recording = None;
        }
        response.map(|inner| Self { guarded: Guarded::new(inner, recording) })
    }
}

impl<B, C: Classify> std::fmt::Debug for ResponseBody<B, C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ResponseBody")
    }
}

impl<B: Default, C: Classify> Default for ResponseBody<B, C> {
    fn default() -> Self {
        Self { guarded: Guarded::new(B::default(), None) }
    }
}

impl<B: Body<Error: 'static>, C: Classify> Body for ResponseBody<B, C> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(mut inside) = self.project().guarded.enter() else {
            return Poll::Ready(None);
        };
        let polled = inside.inner.as_mut().poll_frame(task);
        let (inner, guard) = inside.leave();
        let frame = ready!(polled);
        let Some(recording) = guard else {
            return Poll::Ready(frame);
        };
        let end = match &frame {
            None => Some(End::Complete),
            Some(Err(error)) => {
                recording.error(error);
                Some(End::Broken)
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    recording.data(data);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    recording.trailers(trailers);
                }
                // A server does not poll again then.
                (frame.is_trailers() || inner.is_end_stream()).then_some(End::Complete)
            }
        };
        if let Some(end) = end {
            recording.finish(end);
            *guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.guarded.inner().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.guarded.inner().map_or_else(SizeHint::new, Body::size_hint)
    }
}
