//! Where operations and requests are recorded: in the process from `init` on, or in the capture of a test.

#[cfg(feature = "testing")]
mod capture;
mod overflow;

#[cfg(feature = "testing")]
pub(crate) use capture::{Measurement, Measurements, capture, follow, keep_measurement};
pub(crate) use overflow::count as count_overflow;

use crate::series::{self, Registry};
use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, TraceContextExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Starts a span under a parent and returns a context that holds it, or its ids alone if it is not sampled: only a span
/// that is going to be recorded is described, and its name may decide whether it is. Built where the SDK's own tracer is
/// known: the global tracer of the API would box each span once more.
pub(crate) type StartSpan = Box<dyn Fn(&Context, &str, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync>;

/// The number of recorders; while it is zero, nothing is recorded.
static RECORDERS: AtomicUsize = AtomicUsize::new(0);
/// The recorder of the process.
static PROCESS: OnceLock<Recorder> = OnceLock::new();

/// Where calls and requests are recorded: a registry of series, and a way to start spans.
pub(crate) struct Recorder {
    pub(crate) registry: &'static Registry,
    start_span: StartSpan,
    /// Whether the sampler keeps the decision of a remote parent; else it decides for each call.
    follows_parent: bool,
    /// Whether somebody receives the spans; else only their ids are made.
    exports: bool,
    is_process: bool,
}

/// Makes the recorder of the process.
pub(crate) fn install(start_span: StartSpan, follows_parent: bool, exports: bool) {
    let registry = series::process();
    overflow::install(registry);
    let recorder = Recorder { registry, start_span, follows_parent, exports, is_process: true };
    // Set once: `init` refuses a second call.
    if PROCESS.set(recorder).is_ok() {
        RECORDERS.fetch_add(1, Ordering::Release);
    }
}

/// Whether nothing is recorded: before `init`, and when telemetry is disabled.
#[inline]
pub(crate) fn is_off() -> bool {
    RECORDERS.load(Ordering::Acquire) == 0
}

/// Whether `init` has run.
#[cfg(feature = "testing")]
pub(crate) fn is_process_recorded() -> bool {
    PROCESS.get().is_some()
}

/// The recorder of the current context: that of a test's capture, else that of the process.
#[inline]
pub(crate) fn current() -> Option<&'static Recorder> {
    #[cfg(feature = "testing")]
    if let Some(captured) = Context::map_current(capture::recorder_of) {
        return Some(captured);
    }
    PROCESS.get()
}

/// The recorder of the current context, if anything is recorded at all.
#[inline]
pub(crate) fn active() -> Option<&'static Recorder> {
    if is_off() { None } else { current() }
}

impl Recorder {
    /// Whether this is the recorder of the process, whose series are resolved once.
    #[inline]
    pub(crate) const fn is_process(&self) -> bool {
        self.is_process
    }

    /// Makes spans.
    #[inline]
    pub(crate) const fn spans(&self) -> &StartSpan {
        &self.start_span
    }

    /// Makes the spans of calls inside the service, under the current one, which is returned with it; `None` while
    /// the current span is not sampled. A child of such a span would not be sampled either: its parent's ids serve for
    /// logs and propagation. A remote parent decides only if the sampler follows it.
    #[inline]
    pub(crate) fn inner_spans(&self) -> Option<(&StartSpan, Context)> {
        let parent = Context::map_current(|context| {
            if context.has_active_span() {
                let span = context.span();
                let parent = span.span_context();
                let decides = !parent.is_remote() || self.follows_parent;
                if decides && !parent.is_sampled() && parent.is_valid() {
                    return None;
                }
            }
            Some(context.clone())
        });
        parent.map(|parent| (&self.start_span, parent))
    }

    /// As [`inner_spans`](Self::inner_spans), for the spans of operations: without an exporter nobody tells them apart
    /// from the current one, whose ids serve for logs and propagation.
    #[inline]
    pub(crate) fn operation_spans(&self) -> Option<(&StartSpan, Context)> {
        let has_ids = || Context::map_current(|context| context.span().span_context().is_valid());
        if !self.exports && has_ids() {
            return None;
        }
        self.inner_spans()
    }
}

/// An empty context that is recorded where this one is.
pub(crate) fn empty_context(of: &Context) -> Context {
    #[cfg(feature = "testing")]
    if let Some(context) = capture::empty_context(of) {
        return context;
    }
    let _ = of;
    Context::new()
}
