//! The subscriber around all layers.

use super::context_span;
use super::entered;
use super::layer::Traced;
use super::tracing_span;
use crate::caught::caught;
use crate::current::{self, TakenIn};
use crate::flag;
use crate::worker;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt};
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::callsite::Callsite;
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Interest, LevelFilter};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::registry::LookupSpan;

/// Gives `Span::current()` inside of an operation or a request a `tracing` span that carries its OpenTelemetry context
/// (see [`context_span`]), so that what is spawned with `in_current_span`, `Span::in_scope` and the like stays in the
/// trace. The operations and requests themselves are not in the registry, which would cost each of them thousands of
/// instructions.
///
/// What is logged and traced on the threads of telemetry itself, as by its transports, ends here: an event at
/// `event_enabled`, which is asked for each one, a span at `enabled`, as one that is asked for must be made.
///
/// No layer may stand outside of it: it would not see the spans that are made here, and so this is no `LookupSpan`.
pub(crate) struct TelemetrySubscriber<S> {
    inner: S,
    dispatch: OnceLock<WeakDispatch>,
    /// Whether it is that of a capture: a span that is entered on another thread takes the subscriber with it.
    captures: bool,
}

thread_local! {
    /// The context span that this thread was given last: asked again, it gets the same one.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    /// Context spans that another one has replaced. They are closed where no dispatcher is borrowed.
    static REPLACED: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
    /// Whether a context span is being made: what asks then, as a layer of a user may, gets none.
    static MAKING: Cell<bool> = const { Cell::new(false) };
    /// Whether the thread is inside of the dispatcher of a capture, which cannot be replaced then.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The event or span whose fields are evaluated now, after its filters have decided.
    static PENDING: Cell<Option<&'static dyn Callsite>> = const { Cell::new(None) };
}

/// A context span with the reference that keeps it open.
struct Kept {
    /// The subscriber that has made it, as its address and as what closes it.
    subscriber: usize,
    dispatch: WeakDispatch,
    id: Id,
    metadata: &'static Metadata<'static>,
    /// The span of the context that it carries.
    carries: SpanId,
    /// The innermost span of the registry when it was made.
    below: Option<Id>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(dispatch) = self.dispatch.upgrade() {
            // At the end of a thread a layer of a user may find its thread-locals gone.
            caught(|| dispatch.try_close(self.id.clone()));
        }
    }
}

/// The context in which a span was made that is no span of the trace, because the filter of the trace refuses it. Entering
/// it makes the context current, so that it too can be taken elsewhere.
struct MadeIn(Context);

impl<S> TelemetrySubscriber<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner, dispatch: OnceLock::new(), captures: false }
    }

    /// That of a capture.
    #[cfg(feature = "testing")]
    pub(crate) const fn capturing(inner: S) -> Self {
        Self { inner, dispatch: OnceLock::new(), captures: true }
    }

    /// The dispatcher that becomes that of the thread while a span of a capture is entered or closed there; none while it is
    /// borrowed.
    fn dispatch_to_follow(&self) -> Option<Dispatch> {
        if self.captures && !INSIDE.get() { self.dispatch() } else { None }
    }

    fn dispatch(&self) -> Option<Dispatch> {
        self.dispatch.get().and_then(WeakDispatch::upgrade)
    }

    /// Whether entering the span makes a context with these ids current.
    fn carries(&self, span: &Id, ids: &SpanContext) -> bool {
        let made_in = |span: &Id| {
            let found = self.inner.span(span)?;
            let extensions = found.extensions();
            extensions.get::<MadeIn>().map(|made_in| made_in.0.clone())
        };
        let carried = || self.dispatch().and_then(|dispatch| get_otel_context(span, &dispatch));
        let context = made_in(span).or_else(carried);
        context.is_some_and(|context| context.span().span_context().span_id() == ids.span_id())
    }

    /// The context span of this context: the kept one, or a new one below the current span of the registry.
    fn context_span(&self, context: &Context, below: Option<&Id>) -> Option<Current> {
        let dispatch = self.dispatch()?;
        let carries = context.span().span_context().span_id();
        let kept = KEPT.with_borrow(|kept| {
            let kept = kept.as_ref()?;
            let is_this = kept.carries == carries
                && kept.below.as_ref() == below
                // Its subscriber lives, so no other one can have this address.
                && kept.subscriber == self.address()
                && kept.dispatch.upgrade().is_some();
            is_this.then(|| Current::new(kept.id.clone(), kept.metadata))
        });
        if kept.is_some() {
            return kept;
        }
        let (id, metadata) = self.make_context_span(&dispatch, carries);
        let kept = Kept {
            subscriber: self.address(),
            dispatch: dispatch.downgrade(),
            id: id.clone(),
            metadata,
            carries,
            below: below.cloned(),
        };
        if let Some(before) = KEPT.replace(Some(kept)) {
            REPLACED.with_borrow_mut(|replaced| replaced.push(before));
        }
        Some(Current::new(id, metadata))
    }

    fn make_context_span(&self, dispatch: &Dispatch, carries: SpanId) -> (Id, &'static Metadata<'static>) {
        let _making = flag::raise(&MAKING);
        let operation = current::operation();
        let metadata = context_span::metadata(operation);
        // For the filters of the layers, which decide here. Whether all refuse it does not matter.
        self.inner.enabled(metadata);
        let id = self.inner.new_span(&Attributes::new(metadata, &metadata.fields().value_set(&[])));
        // Starts it: what is recorded from now on reaches the span that it stands for.
        tracing_span::standing_for_current(|| get_otel_context(&id, dispatch));
        if let Some(span) = self.inner.span(&id) {
            span.extensions_mut().insert(TakenIn { operation, span_id: carries.to_bytes() });
        }
        // The filters had decided about an event or a span whose fields ask for the current span: they decide again.
        if let Some(pending) = PENDING.get() {
            self.inner.enabled(pending.metadata());
        }
        (id, metadata)
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Remembers the context of a span that is no span of the trace.
    fn remember_context(&self, id: &Id) {
        if MAKING.get() || !Context::map_current(has_span) {
            return;
        }
        if let Some(span) = self.inner.span(id)
            && span.extensions().get::<Traced>().is_none()
        {
            span.extensions_mut().insert(MadeIn(Context::current()));
        }
    }

    /// The context that entering a span makes current, if the layer of the trace does not do it.
    fn context_to_enter(&self, id: &Id) -> Option<Context> {
        let span = self.inner.span(id)?;
        let extensions = span.extensions();
        let MadeIn(context) = extensions.get()?;
        let entered = context.span().span_context().span_id();
        let is_current = Context::map_current(|current| current.span().span_context().span_id() == entered);
        (!is_current).then(|| context.clone())
    }
}

/// Whether there is a span to stand for.
fn has_span(context: &Context) -> bool {
    context.has_active_span() && !context.is_telemetry_suppressed() && context.span().span_context().is_valid()
}

/// Closes what was kept for a span that is left now: it would hold that span open. And what was replaced.
fn close_kept(left: Option<&Id>) {
    // At the end of a thread its own kept span is closed, when these are gone.
    let kept = left.and_then(|left| {
        let take = |kept: &RefCell<Option<Kept>>| kept.borrow_mut().take_if(|kept| kept.below.as_ref() == Some(left));
        KEPT.try_with(take).ok().flatten()
    });
    let replaced = REPLACED.try_with(RefCell::take);
    // Outside of the borrows, as what closes them may ask for the current span.
    drop((kept, replaced));
}

#[expect(unsafe_code, reason = "`downcast_raw` is an unsafe function")]
impl<S> Subscriber for TelemetrySubscriber<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn current_span(&self) -> Current {
        let innermost = self.inner.current_span();
        if MAKING.get() || !Context::map_current(has_span) {
            return innermost;
        }
        // A clone, as nothing may be attached while the current context is borrowed.
        let context = Context::current();
        let span = context.span();
        if innermost.id().is_some_and(|innermost| self.carries(innermost, span.span_context())) {
            return innermost;
        }
        self.context_span(&context, innermost.id()).unwrap_or(innermost)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        PENDING.set(None);
        let _inside = self.captures.then(|| flag::raise(&INSIDE));
        let parent_is_gone = attributes.parent().is_some_and(|parent| self.inner.span(parent).is_none());
        let id = if parent_is_gone {
            // The id of a context span, as `Span::current().id()` gives it, may be kept for longer than the span.
            self.inner.new_span(&Attributes::new(attributes.metadata(), attributes.values()))
        } else {
            self.inner.new_span(attributes)
        };
        self.remember_context(&id);
        id
    }

    fn enter(&self, span: &Id) {
        self.inner.enter(span);
        entered::push(span, self.context_to_enter(span), self.dispatch_to_follow().as_ref());
    }

    fn exit(&self, span: &Id) {
        entered::pop(span);
        self.inner.exit(span);
        close_kept(Some(span));
    }

    fn try_close(&self, id: Id) -> bool {
        // The registry closes the parents of a span by the subscriber of the thread.
        let follows = self.dispatch_to_follow();
        let own = follows.as_ref().map(tracing::dispatcher::set_default);
        let inside = own.is_some().then(|| flag::raise(&INSIDE));
        let is_closed = self.inner.try_close(id);
        drop((inside, own));
        close_kept(None);
        is_closed
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() && worker::is_own_thread() {
            return false;
        }
        let is_enabled = self.inner.enabled(metadata);
        PENDING.set(is_enabled.then(|| metadata.callsite().0));
        is_enabled
    }

    fn event(&self, event: &Event<'_>) {
        PENDING.set(None);
        let _inside = self.captures.then(|| flag::raise(&INSIDE));
        self.inner.event(event);
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
        self.inner.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = self.inner.register_callsite(metadata);
        // Whether there is a span also depends on the thread, for which `enabled` must be asked each time.
        if metadata.is_span() && interest.is_always() { Interest::sometimes() } else { interest }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        !worker::is_own_thread() && self.inner.event_enabled(event)
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the pointer is valid for as long as `inner`, which lives as long as `self`.
        unsafe { self.inner.downcast_raw(id) }
    }
}
