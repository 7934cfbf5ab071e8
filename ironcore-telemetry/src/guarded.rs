//! A future, a stream or a body that is polled inside of something: a span, a business operation, a saved context.

use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::Poll;

/// What surrounds each poll.
pub(crate) trait Guard: Sized {
    /// While it lives, code on this thread runs inside of the guard.
    type Inside;

    /// Begins a stay inside.
    fn enter(&self) -> Self::Inside;

    /// The guarded value was dropped before its end: because one of its polls panicked, or because it was cancelled.
    fn abandon(self, panicked: bool);
}

/// The context alone: made current for each poll, with nothing to record at the end.
impl Guard for Context {
    type Inside = ContextGuard;

    #[inline]
    fn enter(&self) -> ContextGuard {
        self.clone().attach()
    }

    fn abandon(self, _: bool) {}
}

pin_project! {
    /// A value that is polled, and dropped, inside of its guard.
    pub(crate) struct Guarded<T, G: Guard> {
        // Empty only while it is dropped.
        #[pin]
        inner: Option<T>,
        // Whether a poll has begun and not returned: then it panicked, even where the panic was caught since.
        polling: bool,
        // `None` when nothing is recorded, and once the end is recorded.
        guard: Option<G>,
    }

    impl<T, G: Guard> PinnedDrop for Guarded<T, G> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(guard) = this.guard.take() {
                // What a cancelled value logs in its destructors belongs to its span.
                let inside = guard.enter();
                this.inner.set(None);
                drop(inside);
                guard.abandon(*this.polling);
            }
        }
    }
}

impl<T, G: Guard> Guarded<T, G> {
    #[inline]
    pub(crate) const fn new(inner: T, guard: Option<G>) -> Self {
        Self { inner: Some(inner), polling: false, guard }
    }

    /// Polls inside of the guard.
    #[inline]
    pub(crate) fn poll_inside<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut T>) -> Poll<R>) -> Poll<R> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let inside = this.guard.as_ref().map(G::enter);
        *this.polling = true;
        let polled = poll(inner);
        *this.polling = false;
        drop(inside);
        polled
    }

    /// The value; `None` only while it is dropped.
    #[inline]
    pub(crate) const fn inner(&self) -> Option<&T> {
        self.inner.as_ref()
    }

    /// The value (`None` only while it is dropped) and its guard, to be set, asked or taken between polls.
    #[inline]
    pub(crate) fn parts(self: Pin<&mut Self>) -> (Option<&T>, &mut Option<G>) {
        let this = self.project();
        (this.inner.into_ref().get_ref().as_ref(), this.guard)
    }
}
