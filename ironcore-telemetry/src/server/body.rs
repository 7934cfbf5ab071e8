//! The request's body, counted as the service reads it.

use super::series::Endpoint;
use axum::body::Body as AxumBody;
use bytes::{Buf, Bytes};
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Counts what is read of a request's body, if there is any. Only axum's type of body can be counted and stay of its type,
/// which is the one that the service below takes.
#[inline]
pub(super) fn count_request_body<B: Body + 'static>(
    request: &mut Request<B>,
    endpoint: &'static Endpoint,
) {
    if request.body().is_end_stream() {
        return;
    }
    if let Some(body) = (request.body_mut() as &mut dyn Any).downcast_mut::<AxumBody>() {
        let inner = std::mem::take(body);
        *body = AxumBody::new(Counted { inner, endpoint });
    }
}

pin_project! {
    struct Counted {
        #[pin]
        inner: AxumBody,
        endpoint: &'static Endpoint,
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(task));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = u64::try_from(data.remaining()).unwrap_or(u64::MAX);
            this.endpoint.request_body.add(bytes);
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
