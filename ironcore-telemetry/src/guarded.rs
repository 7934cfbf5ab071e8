//! A future, a stream or a body that is polled inside of something: a span, a business operation, a saved context.

use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::Poll;

/// What surrounds each poll.
pub(crate) trait Guard: Sized {
    /// While it lives, code on this thread runs inside of the guard.
    type Entered;

    /// Begins a stay inside.
    fn enter(&self) -> Self::Entered;

    /// The guarded value was dropped before its end: because one of its polls panicked, or because it was cancelled.
    fn abandon(self, panicked: bool);
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
                let panicked = *this.polling;
                // What a cancelled value logs in its destructors belongs to its span.
                if let Some(guard) = AbandonedByPanic::unless_done(guard, || this.inner.set(None)) {
                    guard.abandon(panicked);
                }
            }
        }
    }
}

/// A guard whose value is being dropped: should a destructor panic, that is its end.
struct AbandonedByPanic<G: Guard>(Option<G>);

impl<G: Guard> AbandonedByPanic<G> {
    /// Drops the value inside of its guard, and returns the guard.
    #[inline]
    fn unless_done(guard: G, drop_value: impl FnOnce()) -> Option<G> {
        let mut abandoned = Self(Some(guard));
        let inside = abandoned.0.as_ref().map(G::enter);
        drop_value();
        drop(inside);
        abandoned.0.take()
    }
}

impl<G: Guard> Drop for AbandonedByPanic<G> {
    #[inline]
    fn drop(&mut self) {
        if let Some(guard) = self.0.take() {
            guard.abandon(true);
        }
    }
}

impl<T, G: Guard> Guarded<T, G> {
    #[inline]
    pub(crate) const fn new(inner: T, guard: Option<G>) -> Self {
        Self { inner: Some(inner), polling: false, guard }
    }

    /// Polls the value inside of the guard.
    #[inline]
    pub(crate) fn poll_inside<R>(self: Pin<&mut Self>, poll: impl FnOnce(Pin<&mut T>) -> Poll<R>) -> Poll<R> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        let entered = this.guard.as_ref().map(G::enter);
        *this.polling = true;
        let polled = poll(inner);
        *this.polling = false;
        drop(entered);
        polled
    }

    /// As [`poll_inside`](Self::poll_inside), in two steps, for results that are large: they are not moved once more.
    /// `None` only while the value is dropped.
    #[inline]
    pub(crate) fn enter(self: Pin<&mut Self>) -> Option<GuardedPoll<'_, T, G>> {
        let this = self.project();
        let inner = this.inner.as_pin_mut()?;
        let entered = this.guard.as_ref().map(G::enter);
        *this.polling = true;
        Some(GuardedPoll { inner, polling: this.polling, guard: this.guard, entered })
    }

    /// The value; `None` only while it is dropped.
    #[inline]
    pub(crate) const fn inner(&self) -> Option<&T> {
        self.inner.as_ref()
    }

    /// The guard, to be set before the first poll, or taken at the end.
    #[inline]
    pub(crate) fn guard(self: Pin<&mut Self>) -> &mut Option<G> {
        self.project().guard
    }

    /// Drops the value inside of the guard, and returns the guard: the value is ready, and its end is recorded next.
    #[inline]
    pub(crate) fn finish(self: Pin<&mut Self>) -> Option<G> {
        let mut this = self.project();
        let guard = this.guard.take()?;
        AbandonedByPanic::unless_done(guard, || this.inner.set(None))
    }
}

/// One poll of a guarded value.
#[must_use = "leave after the poll"]
pub(crate) struct GuardedPoll<'poll, T, G: Guard> {
    pub(crate) inner: Pin<&'poll mut T>,
    polling: &'poll mut bool,
    guard: &'poll mut Option<G>,
    entered: Option<G::Entered>,
}

impl<'poll, T, G: Guard> GuardedPoll<'poll, T, G> {
    /// The poll has returned. Without this call it counts as one that panicked.
    #[inline]
    pub(crate) fn leave(self) -> (Pin<&'poll mut T>, &'poll mut Option<G>) {
        *self.polling = false;
        drop(self.entered);
        (self.inner, self.guard)
    }
}
