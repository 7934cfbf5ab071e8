//! The recorder of a test: found by its mark in the context.

use super::{RECORDERS, Recorder, StartSpan};
use crate::series::Registry;
use opentelemetry::Context;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// The mark of a capture in a context.
#[derive(Clone)]
struct Captured {
    recorder: &'static Recorder,
    dispatch: Dispatch,
    measurements: Measurements,
}

/// What users' own instruments measured in a capture.
pub(crate) type Measurements = Arc<Mutex<Vec<Measurement>>>;

/// One measurement of a user's own instrument.
pub(crate) struct Measurement {
    pub(crate) instrument: String,
    pub(crate) value: f64,
    pub(crate) attributes: Vec<(String, String)>,
}

/// A context in which everything is recorded apart from the process; its log lines go to this subscriber, and what users'
/// instruments measure goes to this list.
pub(crate) fn capture(
    registry: &'static Registry,
    start_span: StartSpan,
    dispatch: Dispatch,
    measurements: Measurements,
) -> Context {
    let recorder = Recorder { registry, start_span, follows_parent: true, exports: true, is_process: false };
    RECORDERS.fetch_add(1, Ordering::Release);
    // Lives as long as the process: a test has few captures, and a task that it has started may outlive it.
    Context::new().with_value(Captured { recorder: Box::leak(Box::new(recorder)), dispatch, measurements })
}

/// The recorder that is marked in a context.
#[inline]
pub(super) fn recorder_of(context: &Context) -> Option<&'static Recorder> {
    context.get::<Captured>().map(|captured| captured.recorder)
}

/// Keeps a measurement in the capture of a context, if it has one.
pub(crate) fn keep_measurement(context: &Context, measurement: Measurement) {
    if let Some(captured) = context.get::<Captured>() {
        captured.measurements.lock().unwrap_or_else(PoisonError::into_inner).push(measurement);
    }
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
