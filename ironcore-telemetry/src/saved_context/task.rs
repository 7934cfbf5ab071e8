//! The current context on other tasks, on other threads, and through channels.

use crate::guarded::{Guard, Guarded};
use futures_core::Stream;
use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use tokio::task::JoinHandle;

/// As `tokio::spawn`; the task goes on in the current context.
///
/// # Panics
/// Outside of a tokio runtime, as `tokio::spawn` does.
///
/// ```
/// use ironcore_telemetry::saved_context;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sum = saved_context::spawn(async { 3 + 4 }).await.unwrap();
/// assert_eq!(sum, 7);
/// # });
/// ```
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(InContext::new(future))
}

/// As `tokio::task::spawn_blocking`; the closure runs in the current context.
///
/// # Panics
/// Outside of a tokio runtime, as `tokio::task::spawn_blocking` does.
pub fn spawn_blocking<R: Send + 'static>(code: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let carried = Carried::new(code);
    tokio::task::spawn_blocking(move || carried.call(|code| code()))
}

/// The context alone: made current for each poll, with nothing to record at the end.
struct Current(Context);

/// While it lives, the context is current; so is the subscriber of the capture that the context belongs to.
struct CurrentScope {
    _context: ContextGuard,
    #[cfg(feature = "testing")]
    _capture: Option<tracing::subscriber::DefaultGuard>,
}

impl Guard for Current {
    type Entered = CurrentScope;

    #[inline]
    fn enter(&self) -> CurrentScope {
        CurrentScope {
            _context: self.0.clone().attach(),
            #[cfg(feature = "testing")]
            _capture: crate::recorder::follow(&self.0),
        }
    }

    fn abandon(self, _: bool) {}
}

pin_project! {
    /// A future or a stream that is polled, and dropped, in the context in which it was wrapped.
    ///
    /// ```
    /// use ironcore_telemetry::saved_context::InContext;
    ///
    /// let task = InContext::new(async { "sent" });
    /// // tokio::task::JoinSet::new().spawn(task)
    /// # drop(task);
    /// ```
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct InContext<T> {
        #[pin]
        guarded: Guarded<T, Current>,
    }
}

impl<T> InContext<T> {
    /// Wraps it with the current context.
    pub fn new(inner: T) -> Self {
        Self::of(inner, Context::current())
    }

    const fn of(inner: T, context: Context) -> Self {
        Self { guarded: Guarded::new(inner, Some(Current(context))) }
    }
}

impl<T> std::fmt::Debug for InContext<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("InContext")
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        self.project().guarded.poll_inside(|future| future.poll(task))
    }
}

impl<S: Stream> Stream for InContext<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        self.project().guarded.poll_inside(|stream| stream.poll_next(task))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.guarded.inner().map_or((0, None), Stream::size_hint)
    }
}

/// A value that is sent through a channel together with the current context.
///
/// ```
/// use ironcore_telemetry::saved_context::Carried;
/// use std::sync::mpsc;
///
/// let (sender, receiver) = mpsc::channel();
/// sender.send(Carried::new(7)).unwrap();
/// let job = receiver.recv().unwrap();
/// assert_eq!(job.call(|amount| amount + 1), 8);
/// ```
#[derive(Debug, Clone)]
#[must_use = "the value is inside"]
pub struct Carried<T> {
    value: T,
    context: Context,
}

impl<T> Carried<T> {
    /// Wraps a value with the current context.
    pub fn new(value: T) -> Self {
        Self { value, context: Context::current() }
    }

    /// Passes the value to a closure that runs in the context.
    pub fn call<R>(self, code: impl FnOnce(T) -> R) -> R {
        let _current = Current(self.context).enter();
        code(self.value)
    }

    /// Passes the value to an asynchronous closure whose future runs in the context.
    pub fn run<F: Future>(self, code: impl FnOnce(T) -> F) -> InContext<F> {
        let context = self.context.clone();
        InContext::of(self.call(code), context)
    }

    /// The value without its context.
    pub fn into_inner(self) -> T {
        self.value
    }
}
