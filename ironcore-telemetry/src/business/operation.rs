//! One call of an instrumented function, from its start to its end.

use super::label::{self, LabelSet};
use super::outcome::OutcomeClass;
use super::site::{Site, SiteSeries};
use super::span::{self, Fields};
use super::verdict::Verdict;
use crate::current;
use crate::format::milliseconds;
use crate::guarded::{Guard, Guarded};
use crate::recorder;
use crate::trace_ids;
use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

/// A call that has begun. If it is dropped before its end, it was cancelled or has panicked.
#[derive(Debug)]
#[must_use = "an operation that is dropped at once counts as cancelled"]
pub struct Operation(Option<Call>);

#[derive(Debug)]
struct Call {
    series: &'static SiteSeries,
    started: Instant,
    /// Holds the call's span; `None` when the call has none.
    context: Option<Context>,
}

impl Operation {
    /// Whether nothing is recorded: before `init`, and when telemetry is disabled.
    #[must_use]
    #[inline]
    pub fn is_off() -> bool {
        recorder::is_off()
    }

    /// Begins a call with these labels; before `init` it is not recorded.
    #[inline]
    pub fn start<S: LabelSet>(site: &'static Site, labels: &S) -> Self {
        // Checked in both constructors, so that the compile error points at the user's function.
        const { label::check::<S>() };
        Self(Call::begin(site, labels, 0, |_| {}))
    }

    /// Begins a call with these labels and `count` fields, which are evaluated only if its span is sampled.
    #[inline]
    pub fn start_with<S: LabelSet>(
        site: &'static Site,
        labels: &S,
        count: usize,
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> Self {
        const { label::check::<S>() };
        Self(Call::begin(site, labels, count, fields))
    }

    /// Runs a synchronous call to its end and judges what it returned.
    #[inline]
    pub fn call<R>(mut self, body: impl FnOnce() -> R, judge: impl FnOnce(&R) -> Verdict) -> R {
        let inside = self.0.as_ref().map(Call::enter);
        let value = body();
        drop(inside);
        if let Some(call) = self.0.take() {
            call.end(judge(&value));
        }
        value
    }

    /// Runs an asynchronous call to its end and judges what it returned.
    #[inline]
    pub fn run<F: Future, J: FnOnce(&F::Output) -> Verdict>(mut self, future: F, judge: J) -> OperationFuture<F, J> {
        OperationFuture { guarded: Guarded::new(future, self.0.take()), judge: Some(judge), begins: None }
    }

    /// Runs an asynchronous call of a site without labels and fields. It begins with the first poll, where the future
    /// then is: nothing has to be moved.
    #[inline]
    pub fn record<F: Future, J: FnOnce(&F::Output) -> Verdict>(
        site: &'static Site,
        future: F,
        judge: J,
    ) -> OperationFuture<F, J> {
        OperationFuture { guarded: Guarded::new(future, None), judge: Some(judge), begins: Some(site) }
    }
}

impl Drop for Operation {
    #[inline]
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            // A synchronous call is dropped by its own panic only.
            call.abandon(std::thread::panicking());
        }
    }
}

impl Call {
    /// `None` before `init`, and while telemetry is disabled.
    #[inline]
    fn begin<S: LabelSet>(
        site: &'static Site,
        labels: &S,
        count: usize,
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        Self::record(site, labels, count, fields)
    }

    fn record<S: LabelSet>(
        site: &'static Site,
        labels: &S,
        count: usize,
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> Option<Self> {
        let recorder = recorder::current()?;
        let series = site.series(labels, recorder)?;
        let context = recorder.operation_spans().map(|under| span::start(under, &site.spec, count, fields));
        // Last: if a field panics before it, no call has begun.
        series.begin();
        Some(Self { series, started: Instant::now(), context })
    }

    fn end(self, verdict: Verdict) {
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let sampled = self.context.as_ref().and_then(trace_ids::sampled);
        self.series.end(verdict, duration, sampled, now);
        self.log(verdict, duration);
        if let (Some(context), Some(_)) = (&self.context, sampled) {
            span::end(context, verdict);
        }
    }

    /// The line at the end of the call; its level depends on the verdict.
    #[inline]
    fn log(&self, Verdict { class, code }: Verdict, duration: Duration) {
        macro_rules! line {
            ($level:ident) => {
                if tracing::event_enabled!(target: "business", tracing::Level::$level) {
                    let _inside = self.enter();
                    tracing::event!(
                        target: "business",
                        tracing::Level::$level,
                        outcome = class.as_str(),
                        code,
                        duration_ms = milliseconds(duration),
                        "ended"
                    );
                }
            };
        }
        match class {
            OutcomeClass::Ok => line!(DEBUG),
            OutcomeClass::Rejected => line!(INFO),
            OutcomeClass::Cancelled => line!(WARN),
            OutcomeClass::Failed | OutcomeClass::Panicked => line!(ERROR),
        }
    }
}

impl Guard for Call {
    type Entered = OperationScope;

    /// Makes the call's span the current one, and its name that of the current operation.
    #[inline]
    fn enter(&self) -> OperationScope {
        OperationScope {
            _span: self.context.clone().map(Context::attach),
            _operation: current::enter(self.series.spec.name),
        }
    }

    #[cold]
    fn abandon(self, panicked: bool) {
        self.end(if panicked { Verdict::PANICKED } else { Verdict::CANCELLED });
    }
}

/// While it lives, code on this thread runs inside of the call.
pub(super) struct OperationScope {
    _span: Option<ContextGuard>,
    _operation: current::Entered,
}

pin_project! {
    /// An asynchronous call: its span is current while it is polled, and while it is dropped. Dropped before it is
    /// ready, it was cancelled or has panicked.
    #[must_use = "futures do nothing unless polled"]
    pub struct OperationFuture<F, J> {
        #[pin]
        guarded: Guarded<F, Call>,
        judge: Option<J>,
        // The site of a call that begins with the first poll.
        begins: Option<&'static Site>,
    }
}

impl<F, J> std::fmt::Debug for OperationFuture<F, J> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OperationFuture")
    }
}

impl<F: Future, J: FnOnce(&F::Output) -> Verdict> Future for OperationFuture<F, J> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut guarded = this.guarded;
        if let Some(site) = this.begins.take() {
            *guarded.as_mut().guard() = Call::begin(site, &(), 0, |_| {});
        }
        let value = ready!(guarded.as_mut().poll_inside(|future| future.poll(task)));
        if let (Some(call), Some(judge)) = (guarded.guard().take(), this.judge.take()) {
            call.end(judge(&value));
        }
        Poll::Ready(value)
    }
}
