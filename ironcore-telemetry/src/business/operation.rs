//! One call of an instrumented function, from its start to whatever end.

use super::field::Field;
use super::label::{self, LabelSet};
use super::outcome::OutcomeClass;
use super::site::{self, Series, Site, Spec};
use super::span;
use super::verdict::Verdict;
use opentelemetry::{Context, ContextGuard};
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
    spec: &'static Spec,
    series: &'static Series,
    started: Instant,
    /// Holds the call's span; `None` when the call has none.
    context: Option<Context>,
}

impl Operation {
    /// Begins a call with these labels, and room for so many fields; before `init` it is not recorded.
    #[inline]
    pub fn start<S: LabelSet>(site: &'static Site, labels: &S, fields: usize) -> Self {
        const { label::check::<S>() };
        if !site::is_recording() {
            return Self(None);
        }
        Self::begin(site, labels, fields)
    }

    fn begin<S: LabelSet>(site: &'static Site, labels: &S, fields: usize) -> Self {
        let Some(series) = site.series(labels) else {
            // The labels' types are those that the site was resolved with: every combination is there.
            return Self(None);
        };
        Self(Some(Running::begin(&site.spec, series, fields)))
    }

    /// Whether fields are worth evaluating: the call has a span, and it is sampled.
    #[must_use]
    #[inline]
    pub fn takes_fields(&self) -> bool {
        self.context()
            .is_some_and(|context| span::sampled(context).is_some())
    }

    /// Adds a field to the call's span.
    pub fn field(&self, key: &'static str, value: impl Field) {
        if let Some(context) = self.context() {
            span::add(context, key, value.into_value());
        }
    }

    /// Makes the call's span the current one until the guard is dropped, for synchronous calls.
    #[must_use = "the span is current only while the guard lives"]
    #[inline]
    pub fn enter(&self) -> Option<ContextGuard> {
        attached(self.context())
    }

    /// Makes the call's span the current one whenever the future is polled.
    #[inline]
    pub fn attach<F>(&self, future: F) -> Attached<F> {
        Attached {
            context: self.context().cloned(),
            future: Some(future),
        }
    }

    /// Ends the call with this verdict.
    #[inline]
    pub fn finish(mut self, verdict: Verdict) {
        if let Some(running) = self.0.take() {
            running.end(verdict);
        }
    }

    #[inline]
    fn context(&self) -> Option<&Context> {
        self.0.as_ref().and_then(|running| running.context.as_ref())
    }
}

impl Drop for Operation {
    #[inline]
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.abandon();
        }
    }
}

impl Running {
    fn begin(spec: &'static Spec, series: &'static Series, fields: usize) -> Self {
        series.in_flight.add(1);
        let start_span = site::start_span().filter(|_| !span::is_left_out(site::follows_parent()));
        let context = start_span.map(|start_span| span::start(start_span, spec, fields));
        Self {
            spec,
            series,
            started: Instant::now(),
            context,
        }
    }

    fn end(self, verdict: Verdict) {
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        self.series.in_flight.add(-1);
        let sampled = self.context.as_ref().and_then(span::sampled);
        self.series.record(verdict, duration, sampled, now);
        self.say(verdict, duration.as_micros());
        if let Some(context) = &self.context {
            span::end(context, verdict);
        }
    }

    #[cold]
    fn abandon(self) {
        self.end(if std::thread::panicking() {
            Verdict::PANICKED
        } else {
            Verdict::CANCELLED
        });
    }

    /// The closing line; its level is the verdict's.
    fn say(&self, Verdict { class, code }: Verdict, micros: u128) {
        macro_rules! line {
            ($level:ident) => {{
                if tracing::event_enabled!(target: "business", tracing::Level::$level) {
                    let _current = attached(self.context.as_ref());
                    tracing::event!(
                        target: "business",
                        tracing::Level::$level,
                        operation = self.spec.name,
                        outcome = class.as_str(),
                        code,
                        duration_ms = milliseconds(micros),
                        "ended"
                    );
                }
            }};
        }
        match class {
            OutcomeClass::Ok => line!(DEBUG),
            OutcomeClass::Rejected => line!(INFO),
            OutcomeClass::Cancelled => line!(WARN),
            OutcomeClass::Failed | OutcomeClass::Panicked => line!(ERROR),
        }
    }
}

fn milliseconds(micros: u128) -> f64 {
    f64::from(u32::try_from(micros).unwrap_or(u32::MAX)) / 1_000.0
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

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = attached(this.context.as_ref());
        match this.future.as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        }
    }
}

#[inline]
fn attached(context: Option<&Context>) -> Option<ContextGuard> {
    context.map(|context| context.clone().attach())
}
