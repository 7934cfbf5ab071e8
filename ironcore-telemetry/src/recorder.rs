//! Where operations and requests are recorded: in the process from `init` on, or in the capture of a test.

use crate::names;
use crate::series::{self, Counter, Registry, SpanIds};
use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, TraceContextExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Starts a span under a parent and returns a context that holds it, or its ids alone where it is not sampled: only a
/// span that is going to be recorded is described. Made by those who know the SDK's own tracer: the API's global one
/// would box each span once more.
pub(crate) type StartSpan = Box<dyn Fn(&Context, &mut dyn FnMut() -> SpanBuilder) -> Context + Send + Sync>;

/// How many recorders there are; while there is none, nothing is recorded.
static RECORDERS: AtomicUsize = AtomicUsize::new(0);
/// The recorder of the process.
static PROCESS: OnceLock<Recorder> = OnceLock::new();

/// Where something is recorded.
pub(crate) struct Recorder {
    pub(crate) registry: &'static Registry,
    /// `None` while traces are off.
    start_span: Option<StartSpan>,
    /// Whether the sampler keeps a caller's decision; else it has to be asked for each call.
    follows_parent: bool,
    is_process: bool,
}

/// Records in the process from here on.
pub(crate) fn install(start_span: Option<StartSpan>, follows_parent: bool) {
    let registry = series::process();
    // At zero from here on.
    OVERFLOWS.get_or_init(|| {
        let all = Closed::ALL.iter();
        all.map(|label| label.counter(registry)).collect()
    });
    let recorder = Recorder { registry, start_span, follows_parent, is_process: true };
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

/// The recorder that is in charge here.
#[inline]
pub(crate) fn current() -> Option<&'static Recorder> {
    #[cfg(feature = "testing")]
    if let Some(captured) = Context::map_current(|context| context.get::<Captured>().copied()) {
        return Some(captured.0);
    }
    PROCESS.get()
}

impl Recorder {
    /// Whether this is the recorder of the process, whose series are resolved once.
    #[inline]
    pub(crate) const fn is_process(&self) -> bool {
        self.is_process
    }

    /// Makes spans; `None` while traces are off.
    #[inline]
    pub(crate) const fn spans(&self) -> Option<&StartSpan> {
        self.start_span.as_ref()
    }

    /// Makes the spans of calls inside the service, under the current one, which comes with it; `None` also where the
    /// current span is not sampled. A child of such a span would not be either: its parent's ids serve for logs and
    /// propagation. A remote parent decides only where the sampler follows it.
    #[inline]
    pub(crate) fn inner_spans(&self) -> Option<(&StartSpan, Context)> {
        let start_span = self.start_span.as_ref()?;
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
        parent.map(|parent| (start_span, parent))
    }
}

/// Labels whose values are a closed set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Closed {
    BusinessCode,
    #[cfg(feature = "http")]
    HttpMethod,
    #[cfg(feature = "http")]
    HttpRoute,
    #[cfg(feature = "http")]
    HttpStatus,
    #[cfg(feature = "http")]
    HttpClientMethod,
    #[cfg(feature = "http")]
    HttpClientPeer,
    #[cfg(feature = "http")]
    HttpClientStatus,
    #[cfg(feature = "grpc")]
    GrpcMethod,
    #[cfg(feature = "grpc")]
    GrpcClientMethod,
    #[cfg(feature = "grpc")]
    GrpcClientPeer,
}

impl Closed {
    const ALL: &[Self] = &[
        Self::BusinessCode,
        #[cfg(feature = "http")]
        Self::HttpMethod,
        #[cfg(feature = "http")]
        Self::HttpRoute,
        #[cfg(feature = "http")]
        Self::HttpStatus,
        #[cfg(feature = "http")]
        Self::HttpClientMethod,
        #[cfg(feature = "http")]
        Self::HttpClientPeer,
        #[cfg(feature = "http")]
        Self::HttpClientStatus,
        #[cfg(feature = "grpc")]
        Self::GrpcMethod,
        #[cfg(feature = "grpc")]
        Self::GrpcClientMethod,
        #[cfg(feature = "grpc")]
        Self::GrpcClientPeer,
    ];

    /// The metric and the name of the label.
    const fn of(self) -> [&'static str; 2] {
        let (metric, label) = match self {
            Self::BusinessCode => (&names::BUSINESS_OPERATIONS, "code"),
            #[cfg(feature = "http")]
            Self::HttpMethod => (&names::HTTP_REQUESTS, "method"),
            #[cfg(feature = "http")]
            Self::HttpRoute => (&names::HTTP_REQUESTS, "route"),
            #[cfg(feature = "http")]
            Self::HttpStatus => (&names::HTTP_REQUESTS, "status"),
            #[cfg(feature = "http")]
            Self::HttpClientMethod => (&names::HTTP_CLIENT_REQUESTS, "method"),
            #[cfg(feature = "http")]
            Self::HttpClientPeer => (&names::HTTP_CLIENT_REQUESTS, "peer"),
            #[cfg(feature = "http")]
            Self::HttpClientStatus => (&names::HTTP_CLIENT_REQUESTS, "status"),
            #[cfg(feature = "grpc")]
            Self::GrpcMethod => (&names::GRPC_REQUESTS, "method"),
            #[cfg(feature = "grpc")]
            Self::GrpcClientMethod => (&names::GRPC_CLIENT_REQUESTS, "method"),
            #[cfg(feature = "grpc")]
            Self::GrpcClientPeer => (&names::GRPC_CLIENT_REQUESTS, "peer"),
        };
        [metric.name, label]
    }

    fn counter(self, registry: &Registry) -> Counter {
        registry.counter(&names::TELEMETRY_LABEL_OVERFLOW, &self.of(), &[])
    }
}

/// The counters of the process, by [`Closed`]: whoever makes values up never meets a lock.
static OVERFLOWS: OnceLock<Vec<Counter>> = OnceLock::new();

/// Counts an event whose own value of a label is outside its set, so that it was counted as `_OTHER`.
pub(crate) fn overflow(registry: &'static Registry, label: Closed) {
    let known = || OVERFLOWS.get()?.get(label as usize).copied();
    let is_process = std::ptr::eq(registry, series::process());
    let counter = is_process.then(known).flatten();
    counter.unwrap_or_else(|| label.counter(registry)).add(1);
}

/// A context with nothing of this one but where things are recorded.
pub(crate) fn apart(context: &Context) -> Context {
    #[cfg(feature = "testing")]
    if let Some(captured) = context.get::<Captured>() {
        return Context::new().with_value(*captured);
    }
    let _ = context;
    Context::new()
}

/// The ids of a sampled span: such a trace can be looked at.
#[inline]
pub(crate) fn sampled(context: &Context) -> Option<SpanIds> {
    let span = context.span();
    let ids = span.span_context();
    let of = || SpanIds {
        trace: u128::from_be_bytes(ids.trace_id().to_bytes()),
        span: u64::from_be_bytes(ids.span_id().to_bytes()),
    };
    ids.is_sampled().then(of)
}

/// The id of the current trace, as 32 hexadecimal digits: what a user can quote, and you look up in the traces and the log
/// lines. `None` outside of a trace.
///
/// ```
/// // The body of an error.
/// let body = format!(r#"{{"error": "not found", "request_id": "{}"}}"#, ironcore_telemetry::trace_id().unwrap_or_default());
/// # let _ = body;
/// ```
#[must_use]
pub fn trace_id() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| format!("{:032x}", ids.trace_id()))
    })
}

/// A duration as log lines show it: to the microsecond, so that they hold no more digits than the clock has.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}

/// The mark of a capture in a context.
#[cfg(feature = "testing")]
#[derive(Clone, Copy)]
struct Captured(&'static Recorder);

/// A context in which everything is recorded apart from the process.
#[cfg(feature = "testing")]
pub(crate) fn capture(registry: &'static Registry, start_span: StartSpan) -> Context {
    let start_span = Some(start_span);
    let recorder = Recorder { registry, start_span, follows_parent: true, is_process: false };
    RECORDERS.fetch_add(1, Ordering::Release);
    // As long as the process: a test has few captures, and what it started may outlive it.
    Context::new().with_value(Captured(Box::leak(Box::new(recorder))))
}
