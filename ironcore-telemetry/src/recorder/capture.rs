//! The recorder of a test: found by its mark in the context.

use super::{RECORDERS, Recorder, StartSpan};
use crate::series::Registry;
use opentelemetry::Context;
use std::sync::atomic::Ordering;
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// The mark of a capture in a context.
#[derive(Clone)]
struct Captured {
    recorder: &'static Recorder,
    dispatch: Dispatch,
}

/// A context in which everything is recorded apart from the process, and whose log lines this subscriber gets.
pub(crate) fn capture(registry: &'static Registry, start_span: StartSpan, dispatch: Dispatch) -> Context {
    let recorder = Recorder { registry, start_span: Some(start_span), follows_parent: true, is_process: false };
    RECORDERS.fetch_add(1, Ordering::Release);
    // Lives as long as the process: a test has few captures, and a task that it has started may outlive it.
    Context::new().with_value(Captured { recorder: Box::leak(Box::new(recorder)), dispatch })
}

/// The recorder that is marked in a context.
#[inline]
pub(super) fn recorder_of(context: &Context) -> Option<&'static Recorder> {
    context.get::<Captured>().map(|captured| captured.recorder)
}

/// Makes the subscriber of the capture in a context, if it has one, that of the thread.
pub(crate) fn follow(context: &Context) -> Option<DefaultGuard> {
    let captured = context.get::<Captured>()?;
    Some(tracing::dispatcher::set_default(&captured.dispatch))
}

/// An empty context with the mark of this one, if it has one.
pub(super) fn empty_context(of: &Context) -> Option<Context> {
    of.get::<Captured>().map(|captured| Context::new().with_value(captured.clone()))
}
