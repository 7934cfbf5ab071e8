//! The recorder of a test: found by its mark in the context.

use super::{RECORDERS, Recorder, StartSpan};
use crate::series::Registry;
use opentelemetry::Context;
use std::sync::atomic::Ordering;

/// The mark of a capture in a context.
#[derive(Clone, Copy)]
struct Captured(&'static Recorder);

/// A context in which everything is recorded apart from the process.
pub(crate) fn capture(registry: &'static Registry, start_span: StartSpan) -> Context {
    let recorder =
        Recorder { registry, start_span: Some(start_span), follows_parent: true, exports: true, is_process: false };
    RECORDERS.fetch_add(1, Ordering::Release);
    // Lives as long as the process: a test has few captures, and a task that it has started may outlive it.
    Context::new().with_value(Captured(Box::leak(Box::new(recorder))))
}

/// The recorder that is marked in a context.
#[inline]
pub(super) fn recorder_of(context: &Context) -> Option<&'static Recorder> {
    context.get::<Captured>().map(|captured| captured.0)
}

/// An empty context with the mark of this one, if it has one.
pub(super) fn empty_context(of: &Context) -> Option<Context> {
    of.get::<Captured>().map(|captured| Context::new().with_value(*captured))
}
