//! One call of an instrumented function, from its start to whatever end.

use super::outcome::OutcomeClass;
use super::site::{self, Site};
use super::verdict::Verdict;
use crate::names::attribute;
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, ContextGuard, KeyValue};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

/// A call that has begun. Dropped without [`finish`](Self::finish), it was cancelled or panicked.
#[derive(Debug)]
#[must_use = "an operation that is dropped at once counts as cancelled"]
pub struct Operation(Option<Running>);

#[derive(Debug)]
struct Running {
    site: &'static Site,
    started: Instant,
    /// Holds the call's span; `None` when the call has none.
    context: Option<Context>,
}

impl Operation {
    /// Begins a call; before `init` it is not recorded.
    pub fn start(site: &'static Site) -> Self {
        if !site::is_recording() {
            return Self(None);
        }
        let tracer = site::tracer().filter(|_| !under_unsampled_span());
        let context = tracer.map(|tracer| span(site, tracer));
        Self(Some(Running {
            site,
            started: Instant::now(),
            context,
        }))
    }

    /// Makes the call's span the current one until the guard is dropped, for synchronous calls.
    #[must_use = "the span is current only while the guard lives"]
    pub fn enter(&self) -> Option<ContextGuard> {
        attached(self.context())
    }

    /// Makes the call's span the current one whenever the future is polled.
    pub fn attach<F>(&self, future: F) -> Attached<F> {
        Attached {
            context: self.context().cloned(),
            future: Some(future),
        }
    }

    /// Ends the call with this verdict.
    pub fn finish(mut self, verdict: Verdict) {
        self.end(verdict);
    }

    fn context(&self) -> Option<&Context> {
        self.0.as_ref().and_then(|running| running.context.as_ref())
    }

    fn end(&mut self, verdict: Verdict) {
        let Some(Running {
            site,
            started,
            context,
        }) = self.0.take()
        else {
            return;
        };
        site.record(verdict, started.elapsed());
        if let Some(context) = context {
            end_span(&context, verdict);
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() {
            Verdict::PANICKED
        } else {
            Verdict::CANCELLED
        });
    }
}

/// A child of a span that is not sampled would not be either: its parent's ids serve for logs and propagation. A
/// remote parent decides only where the sampler follows it.
fn under_unsampled_span() -> bool {
    Context::map_current(|context| {
        let span = context.span();
        let parent = span.span_context();
        parent.is_valid() && !parent.is_sampled() && (!parent.is_remote() || site::follows_parent())
    })
}

fn span(site: &'static Site, tracer: &BoxedTracer) -> Context {
    let attributes = vec![
        KeyValue::new(attribute::DOMAIN, site.domain),
        KeyValue::new(attribute::OPERATION, site.operation),
        KeyValue::new(attribute::CODE_FUNCTION, site.function),
    ];
    let builder = SpanBuilder::from_name(site.name)
        .with_kind(SpanKind::Internal)
        .with_attributes(attributes);
    let parent = Context::current();
    let span = tracer.build_with_context(builder, &parent);
    parent.with_span(span)
}

fn end_span(context: &Context, Verdict { class, code }: Verdict) {
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(attribute::OUTCOME, class.as_str()));
        if class != OutcomeClass::Ok {
            let kind = if code.is_empty() {
                class.as_str()
            } else {
                code
            };
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, kind));
        }
        if matches!(class, OutcomeClass::Failed | OutcomeClass::Panicked) {
            span.set_status(Status::error(""));
        }
    }
    span.end();
}

pin_project! {
    /// A future with a context that is current while it is polled, and while it is dropped.
    #[must_use = "futures do nothing unless polled"]
    pub struct Attached<F> {
        context: Option<Context>,
        // Empty only while it is dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Attached<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _current = attached(this.context.as_ref());
            this.future.set(None);
        }
    }
}

impl<F> std::fmt::Debug for Attached<F> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Attached")
    }
}

impl<F: Future> Future for Attached<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = attached(this.context.as_ref());
        match this.future.as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

fn attached(context: Option<&Context>) -> Option<ContextGuard> {
    context.map(|context| context.clone().attach())
}
