//! The response future: the request's span is current while it is polled, and its end ends the request.

use super::request::InFlight;
use http::Response;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Future of the answer to a recorded request.
    #[derive(Debug)]
    pub struct HttpTelemetryFuture<F> {
        #[pin]
        inner: F,
        // Dropped without an answer, it ends the request as cancelled.
        in_flight: Option<InFlight>,
    }
}

impl<F> HttpTelemetryFuture<F> {
    pub(super) const fn new(inner: F, in_flight: InFlight) -> Self {
        Self {
            inner,
            in_flight: Some(in_flight),
        }
    }
}

impl<F, Body, Error> Future for HttpTelemetryFuture<F>
where
    F: Future<Output = Result<Response<Body>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let current = this.in_flight.as_ref().and_then(InFlight::enter);
        let result = ready!(this.inner.poll(task));
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
