//! The response's future: the request's span is current while it is polled, and goes on with the response's body.

use super::body::RecordedBody;
use super::{End, Exchange};
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Future of the response to a recorded request.
    #[must_use = "futures do nothing unless polled"]
    pub struct RecordedResponse<F, X: Exchange> {
        // Empty only while it is dropped.
        #[pin]
        inner: Option<F>,
        // Whether a poll has begun and not returned: then it panicked, even where the panic was caught since.
        polling: bool,
        // `None` when nothing is recorded, and once the response is there.
        exchange: Option<X>,
    }

    impl<F, X: Exchange> PinnedDrop for RecordedResponse<F, X> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(exchange) = this.exchange.take() {
                // What a cancelled handler says as it is dropped belongs to its request.
                let inside = exchange.enter();
                this.inner.set(None);
                drop(inside);
                exchange.end(if *this.polling { End::Panicked } else { X::dropped() });
            }
        }
    }
}

impl<F, X: Exchange> RecordedResponse<F, X> {
    pub(crate) const fn new(inner: F, exchange: Option<X>) -> Self {
        Self { inner: Some(inner), polling: false, exchange }
    }
}

impl<F, X: Exchange> std::fmt::Debug for RecordedResponse<F, X> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RecordedResponse")
    }
}

impl<F, X, B, Error> Future for RecordedResponse<F, X>
where
    F: Future<Output = Result<Response<B>, Error>>,
    X: Exchange,
    B: Body,
    Error: 'static,
{
    type Output = Result<Response<RecordedBody<B, X>>, Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let inside = this.exchange.as_ref().map(X::enter);
        *this.polling = true;
        let polled = inner.poll(task);
        *this.polling = false;
        let result = ready!(polled);
        drop(inside);
        let exchange = this.exchange.take();
        Poll::Ready(match result {
            Ok(response) => Ok(RecordedBody::of(response, exchange)),
            Err(error) => {
                if let Some(mut exchange) = exchange {
                    exchange.failed(&error);
                    exchange.end(End::Failed);
                }
                Err(error)
            }
        })
    }
}
