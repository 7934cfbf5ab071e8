//! The response's future: the exchange goes on with the response's body.

use super::classify::{Classify, End};
use super::recording::Recording;
use super::response_body::ResponseBody;
use crate::guarded::Guarded;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

pin_project! {
    /// Future of the response of a recorded exchange.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C: Classify> {
        #[pin]
        guarded: Guarded<F, Recording<C>>,
    }
}

impl<F, C: Classify> ResponseFuture<F, C> {
    #[inline]
    pub(crate) const fn new(inner: F, recording: Option<Recording<C>>) -> Self {
        Self { guarded: Guarded::new(inner, recording) }
    }
}

impl<F, C: Classify> std::fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ResponseFuture")
    }
}

impl<F, C, B, Error> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<Response<B>, Error>>,
    C: Classify,
    B: Body,
    Error: 'static,
{
    type Output = Result<Response<ResponseBody<B, C>>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let Some(mut inside) = self.project().guarded.enter() else {
            return Poll::Pending;
        };
        let polled = inside.inner.as_mut().poll(task);
        let (_, recording) = inside.leave();
        let result = ready!(polled);
        let recording = recording.take();
        Poll::Ready(match result {
            Ok(response) => Ok(ResponseBody::wrap(response, recording)),
            Err(error) => {
                if let Some(mut recording) = recording {
                    recording.error(&error);
                    recording.finish(End::Failed);
                }
                Err(error)
            }
        })
    }
}
