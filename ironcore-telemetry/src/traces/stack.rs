//! Several layers as one.

use std::any::TypeId;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Interest, LevelFilter};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// A layer of any type.
pub(crate) type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Layers side by side. It is a `Vec` of them, which alone does not tell them of the dispatcher.
pub(crate) struct Stack<S>(Vec<BoxedLayer<S>>);

impl<S: Subscriber> Stack<S> {
    pub(crate) const fn new(layers: Vec<BoxedLayer<S>>) -> Self {
        Self(layers)
    }
}

#[expect(unsafe_code, reason = "`downcast_raw` is an unsafe function")]
impl<S: Subscriber> Layer<S> for Stack<S> {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        for layer in &self.0 {
            layer.on_register_dispatch(dispatch);
        }
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(span, values, context);
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        self.0.on_follows_from(span, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.0.on_event(event, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.0.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.on_close(id, context);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: Context<'_, S>) {
        for layer in &self.0 {
            layer.on_id_change(old, new, context.clone());
        }
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the pointer is valid for as long as the layers, which live as long as `self`.
        unsafe { self.0.downcast_raw(id) }
    }
}
