//! The subscriber around all layers.

use super::context_span::{self, StandsForCurrent};
use crate::current::{self, TakenIn};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use std::any::TypeId;
use std::cell::Cell;
use std::sync::OnceLock;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Interest, LevelFilter};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Identity;
use tracing_subscriber::registry::LookupSpan;

/// Gives `Span::current()` inside of an operation or a request a `tracing` span that carries its OpenTelemetry context
/// (see [`context_span`]), so that what is spawned with `in_current_span`, `Span::in_scope` and the like stays in the
/// trace. The operations and requests themselves are not in the registry, which would cost each of them thousands of
/// instructions.
///
/// No layer may stand outside of it: it would not see the spans that are made here, and so this is no `LookupSpan`.
pub(crate) struct TelemetrySubscriber<S> {
    inner: S,
    dispatch: OnceLock<WeakDispatch>,
    #[cfg(feature = "testing")]
    captures: bool,
}

/// A layer of any type.
pub(crate) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Several layers as one. (A `Vec` or an `Option` of layers does not tell them of the dispatcher.)
pub(crate) fn stacked<S: Subscriber>(layers: Vec<BoxedLayer<S>>) -> BoxedLayer<S> {
    let stacked = layers.into_iter().reduce(|inner, outer| Box::new(inner.and_then(outer)));
    stacked.unwrap_or_else(|| Box::new(Identity::new()))
}

thread_local! {
    /// The subscriber and the id of the context span that was made last and that nobody owns yet.
    static UNCLAIMED: Cell<Option<(usize, u64)>> = const { Cell::new(None) };
}

impl<S> TelemetrySubscriber<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    pub(crate) const fn new(inner: S) -> Self {
        Self {
            inner,
            dispatch: OnceLock::new(),
            #[cfg(feature = "testing")]
            captures: false,
        }
    }

    /// Of a capture: a span that is entered on another thread takes the subscriber with it.
    #[cfg(feature = "testing")]
    pub(crate) const fn capturing(inner: S) -> Self {
        Self { inner, dispatch: OnceLock::new(), captures: true }
    }

    /// Whether entering the span makes a context with these ids current.
    fn carries(&self, span: &Id, ids: &SpanContext) -> bool {
        let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
        let context = dispatch.and_then(|dispatch| get_otel_context(span, &dispatch));
        context.is_some_and(|context| {
            let span = context.span();
            let carried = span.span_context();
            (carried.span_id(), carried.trace_id()) == (ids.span_id(), ids.trace_id())
        })
    }

    /// Makes a context span below the current span of the registry. Its one reference is that of the first `clone_span`.
    fn context_span(&self, context: &Context) -> Current {
        let operation = current::operation();
        let metadata = context_span::metadata(operation);
        // For the filters of the layers, which decide here. Whether all refuse it does not matter.
        self.inner.enabled(metadata);
        let marked = StandsForCurrent::mark(context).attach();
        let id = self.inner.new_span(&Attributes::new(metadata, &metadata.fields().value_set(&[])));
        drop(marked);
        if let Some(span) = self.inner.span(&id) {
            span.extensions_mut().insert(TakenIn(operation));
        }
        UNCLAIMED.set(Some((self.address(), id.into_u64())));
        Current::new(id, metadata)
    }

    /// Frees a context span that was only looked at.
    fn free_unclaimed(&self) {
        if let Some((subscriber, id)) = UNCLAIMED.take()
            && subscriber == self.address()
        {
            self.inner.try_close(Id::from_u64(id));
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

#[expect(unsafe_code, reason = "`downcast_raw` is an unsafe function")]
impl<S> Subscriber for TelemetrySubscriber<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn current_span(&self) -> Current {
        self.free_unclaimed();
        let innermost = self.inner.current_span();
        let has_span = |context: &Context| context.has_active_span() && !context.is_telemetry_suppressed();
        if !Context::map_current(has_span) {
            return innermost;
        }
        // A clone, as nothing may be attached while the current context is borrowed.
        let context = Context::current();
        let span = context.span();
        let ids = span.span_context();
        if !ids.is_valid() || innermost.id().is_some_and(|innermost| self.carries(innermost, ids)) {
            return innermost;
        }
        self.context_span(&context)
    }

    fn clone_span(&self, id: &Id) -> Id {
        let unclaimed = Some((self.address(), id.into_u64()));
        if UNCLAIMED.get() == unclaimed {
            UNCLAIMED.set(None);
            return id.clone();
        }
        self.inner.clone_span(id)
    }

    fn enter(&self, span: &Id) {
        self.inner.enter(span);
        #[cfg(feature = "testing")]
        if self.captures {
            follow::enter(span, self.dispatch.get().and_then(WeakDispatch::upgrade));
        }
    }

    fn exit(&self, span: &Id) {
        #[cfg(feature = "testing")]
        if self.captures {
            follow::exit(span);
        }
        self.inner.exit(span);
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.inner.new_span(attributes)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        self.inner.event(event);
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the pointer is valid for as long as `inner`, which lives as long as `self`.
        unsafe { self.inner.downcast_raw(id) }
    }
}

/// Makes the subscriber of an entered span that of the thread, for captures of tests.
#[cfg(feature = "testing")]
mod follow {
    use std::cell::RefCell;
    use tracing::Dispatch;
    use tracing::subscriber::DefaultGuard;
    use tracing_core::span::Id;

    thread_local! {
        static ENTERED: RefCell<Vec<(Id, DefaultGuard)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn enter(span: &Id, dispatch: Option<Dispatch>) {
        if let Some(dispatch) = dispatch {
            let guard = tracing::dispatcher::set_default(&dispatch);
            ENTERED.with_borrow_mut(|entered| entered.push((span.clone(), guard)));
        }
    }

    pub(super) fn exit(span: &Id) {
        let left = ENTERED.with_borrow_mut(|entered| {
            let position = entered.iter().rposition(|(id, _)| id == span)?;
            Some(entered.remove(position))
        });
        // Outside of the borrow: the subscriber may end with its guard.
        drop(left);
    }
}
