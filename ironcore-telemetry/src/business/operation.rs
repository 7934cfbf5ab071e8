//! One call of an instrumented function, from its start to its end.

use super::failure;
use super::label::{self, LabelSet};
use super::outcome::OutcomeClass;
use super::site::{Site, SiteSeries};
use super::span::{self, Fields};
use super::verdict::{Judgement, RecordedError, Verdict};
use crate::caught::caught;
use crate::current;
use crate::format::milliseconds;
use crate::guarded::{Guard, Guarded};
use crate::recorder::{self, Recorder, StartSpan};
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

    /// Begins a call whose labels are evaluated by `start`. If that panics, the values of the labels are `_OTHER`.
    #[inline]
    pub fn labelled(site: &'static Site, start: impl FnOnce() -> Self) -> Self {
        caught(start).unwrap_or_else(|| Self(Call::begin_without_labels(site)))
    }

    /// Runs a synchronous call to its end and judges what it returned.
    #[inline]
    pub fn call<R>(mut self, body: impl FnOnce() -> R, judge: impl FnOnce(&mut R) -> Judgement) -> R {
        let inside = self.0.as_ref().map(Call::enter);
        let mut value = body();
        drop(inside);
        if let Some(call) = self.0.take() {
            call.end_judged(judge, &mut value);
        }
        value
    }

    /// Runs an asynchronous call to its end and judges what it returned.
    #[inline]
    pub fn run<F: Future, J: FnOnce(&mut F::Output) -> Judgement>(
        mut self,
        future: F,
        judge: J,
    ) -> OperationFuture<F, J> {
        OperationFuture { guarded: Guarded::new(future, self.0.take()), judge: Some(judge), begins: None }
    }

    /// Runs an asynchronous call of a site without labels and fields. It begins with the first poll, where the future
    /// then is: nothing has to be moved.
    #[inline]
    pub fn record<F: Future, J: FnOnce(&mut F::Output) -> Judgement>(
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
        Some(Self::begun(recorder, series, |under| span::start(under, &site.spec, count, fields)))
    }

    #[cold]
    fn begin_without_labels(site: &'static Site) -> Option<Self> {
        let recorder = recorder::active()?;
        let series = site.series_without_labels(recorder);
        Some(Self::begun(recorder, series, |under| span::start(under, &site.spec, 0, |_| {})))
    }

    #[inline]
    fn begun(
        recorder: &'static Recorder,
        series: &'static SiteSeries,
        start: impl FnOnce((&StartSpan, Context)) -> Context,
    ) -> Self {
        let context = recorder.operation_spans().map(start);
        series.begin();
        Self { series, started: Instant::now(), context }
    }

    /// Ends the call with the verdict of `judge`. A judge that panics costs the verdict, never the value.
    #[inline]
    fn end_judged<R>(self, judge: impl FnOnce(&mut R) -> Judgement, value: &mut R) {
        let judgement = caught(|| judge(value)).unwrap_or_else(Judgement::judge_panicked);
        self.end(&judgement);
    }

    #[inline]
    fn end(self, judgement: &Judgement) {
        let verdict = judgement.verdict;
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let sampled = self.context.as_ref().and_then(trace_ids::sampled);
        self.series.end(verdict, duration, sampled, now);
        let caused_by = failure::ended(self.series.spec.name, judgement);
        let error = judgement.recorded();
        self.log(verdict, duration, caused_by, error.as_ref());
        if let (Some(context), Some(_)) = (&self.context, sampled) {
            span::end(context, verdict, error.as_ref());
        }
    }

    /// The line at the end of the call; its level depends on the verdict. A failure that an inner operation has logged
    /// already, `caused_by`, is not logged as one more error.
    #[inline]
    fn log(
        &self,
        Verdict { class, code }: Verdict,
        duration: Duration,
        caused_by: Option<&'static str>,
        error: Option<&RecordedError<'_>>,
    ) {
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
                        caused_by,
                        error = error.map(|error| &*error.text),
                        "ended"
                    );
                }
            };
        }
        match class {
            OutcomeClass::Ok => line!(DEBUG),
            OutcomeClass::Rejected => line!(INFO),
            OutcomeClass::Failed if caused_by.is_some() => line!(INFO),
            // The error of a panic is logged where it panics, with the place.
            OutcomeClass::Cancelled | OutcomeClass::Panicked => line!(WARN),
            OutcomeClass::Failed => line!(ERROR),
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
            _inside: failure::enter(),
        }
    }

    #[cold]
    fn abandon(self, panicked: bool) {
        let verdict = if panicked { Verdict::PANICKED } else { Verdict::CANCELLED };
        self.end(&verdict.into());
    }
}

/// While it lives, code on this thread runs inside of the call.
pub(super) struct OperationScope {
    _span: Option<ContextGuard>,
    _operation: current::Entered,
    _inside: failure::Entered,
}

/// Moves arguments into a closure, in code that is never executed.
#[expect(clippy::empty_loop, reason = "never executed")]
pub fn moved<T>(_: T) -> ! {
    loop {}
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

impl<F: Future, J: FnOnce(&mut F::Output) -> Judgement> Future for OperationFuture<F, J> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut guarded = this.guarded;
        if let Some(site) = this.begins.take() {
            *guarded.as_mut().guard() = Call::begin(site, &(), 0, |_| {});
        }
        let mut value = ready!(guarded.as_mut().poll_inside(|future| future.poll(task)));
        if let (Some(call), Some(judge)) = (guarded.guard().take(), this.judge.take()) {
            call.end_judged(judge, &mut value);
        }
        Poll::Ready(value)
    }
}
