//! The response's body: its end is the end of the request.

use super::{End, Exchange};
use bytes::Buf;
use http::{Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Body of the response to a recorded request.
    pub struct RecordedBody<B, X: Exchange> {
        // Empty only while it is dropped.
        #[pin]
        inner: Option<B>,
        // Whether a poll has begun and not returned: then it panicked.
        polling: bool,
        // Bytes that are still to come, where that is known: a server takes no more, and does not ask for the end.
        left: Option<u64>,
        // `None` when nothing is recorded, and once the body has ended.
        exchange: Option<X>,
    }

    impl<B, X: Exchange> PinnedDrop for RecordedBody<B, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange.take() {
                let inside = exchange.enter();
                this.inner.set(None);
                drop(inside);
                exchange.end(match (*this.polling, *this.left) {
                    (true, _) => End::Panicked,
                    (false, Some(0)) => End::Complete,
                    (false, _) => X::dropped(),
                });
            }
        }
    }
}

impl<B: Body, X: Exchange> RecordedBody<B, X> {
    /// A response whose body ends the exchange; one without a body has ended it.
    pub(super) fn of(mut response: Response<B>, exchange: Option<X>) -> Response<Self> {
        let exchange = exchange.and_then(|mut exchange| {
            let is_bodiless = exchange.answered(&mut response);
            if is_bodiless || response.body().is_end_stream() {
                exchange.end(End::Complete);
                return None;
            }
            Some(exchange)
        });
        let left = exchange.as_ref().and_then(|_| length_of(&response));
        response.map(|inner| Self { left, inner: Some(inner), polling: false, exchange })
    }
}

/// How long a body is, if it or its header says so.
fn length_of<B: Body>(response: &Response<B>) -> Option<u64> {
    response.body().size_hint().exact().or_else(|| {
        let length = response.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    })
}

impl<B, X: Exchange> std::fmt::Debug for RecordedBody<B, X> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RecordedBody")
    }
}

impl<B: Default, X: Exchange> Default for RecordedBody<B, X> {
    fn default() -> Self {
        Self { inner: Some(B::default()), polling: false, left: None, exchange: None }
    }
}

impl<B: Body<Error: 'static>, X: Exchange> Body for RecordedBody<B, X> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(exchange) = this.exchange.as_mut() else {
            return inner.poll_frame(task);
        };
        let inside = exchange.enter();
        *this.polling = true;
        let polled = inner.as_mut().poll_frame(task);
        *this.polling = false;
        let frame = ready!(polled);
        drop(inside);
        let end = match &frame {
            None => Some(End::Complete),
            Some(Err(error)) => {
                exchange.failed(error);
                Some(End::Broken)
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let bytes = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
                    *this.left = this.left.map(|left| left.saturating_sub(bytes));
                    exchange.data(data);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    exchange.trailers(trailers);
                }
                // A server does not ask again then.
                (frame.is_trailers() || inner.is_end_stream()).then_some(End::Complete)
            }
        };
        if let Some(end) = end
            && let Some(exchange) = this.exchange.take()
        {
            exchange.end(end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::new, Body::size_hint)
    }
}
