//! The response future: the request's span is current while it is polled, and its end ends the request.

use super::request::InFlight;
use http::Response;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Future of the answer to a recorded request.
    pub struct HttpTelemetryFuture<F> {
        // Empty only while it is dropped.
        #[pin]
        inner: Option<F>,
        // Whether a poll has begun and not returned: then it panicked, even where the panic was caught since.
        polling: bool,
        // Dropped without an answer, it ends the request as cancelled.
        in_flight: Option<InFlight>,
    }

    impl<F> PinnedDrop for HttpTelemetryFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What a cancelled handler says as it is dropped belongs to its request.
            let current = this.in_flight.as_ref().map(InFlight::enter);
            this.inner.set(None);
            drop(current);
            if *this.polling
                && let Some(in_flight) = this.in_flight.take()
            {
                in_flight.panicked();
            }
        }
    }
}

impl<F> HttpTelemetryFuture<F> {
    pub(super) const fn new(inner: F, in_flight: Option<InFlight>) -> Self {
        Self {
            inner: Some(inner),
            polling: false,
            in_flight,
        }
    }
}

impl<F> std::fmt::Debug for HttpTelemetryFuture<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HttpTelemetryFuture")
    }
}

impl<F, Body, Error> Future for HttpTelemetryFuture<F>
where
    F: Future<Output = Result<Response<Body>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let current = this.in_flight.as_ref().map(InFlight::enter);
        *this.polling = true;
        let polled = inner.poll(task);
        *this.polling = false;
        let result = ready!(polled);
        drop(current);
        if let Some(in_flight) = this.in_flight.take() {
            match &result {
                Ok(response) => in_flight.answered(response.status()),
                Err(_) => in_flight.failed(),
            }
        }
        Poll::Ready(result)
    }
}
