//! One call of an instrumented function, from its start to whatever end.

use super::label::{self, LabelSet};
use super::outcome::OutcomeClass;
use super::site::{Series, Site};
use super::span::{self, Fields};
use super::verdict::Verdict;
use crate::current;
use crate::recorder;
use opentelemetry::{Context, ContextGuard};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

/// A call that has begun. Dropped before its end, it was cancelled or panicked.
#[derive(Debug)]
#[must_use = "an operation that is dropped at once counts as cancelled"]
pub struct Operation(Option<Running>);

#[derive(Debug)]
struct Running {
    series: &'static Series,
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
        // Checked in each of the two, so that the error stands at the user's function.
        const { label::check::<S>() };
        Self(Running::begin(site, labels, 0, |_| {}))
    }

    /// Begins a call with these labels and so many fields, which are evaluated only when its span is sampled.
    #[inline]
    pub fn start_with<S: LabelSet>(
        site: &'static Site,
        labels: &S,
        count: usize,
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> Self {
        const { label::check::<S>() };
        Self(Running::begin(site, labels, count, fields))
    }

    /// Runs a synchronous call to its end and judges what it returned.
    #[inline]
    pub fn call<R>(mut self, body: impl FnOnce() -> R, judge: impl FnOnce(&R) -> Verdict) -> R {
        let inside = self.0.as_ref().map(Running::enter);
        let value = body();
        drop(inside);
        if let Some(running) = self.0.take() {
            running.end(judge(&value));
        }
        value
    }

    /// Runs an asynchronous call to its end and judges what it returned.
    #[inline]
    pub fn run<F: Future, J: FnOnce(&F::Output) -> Verdict>(mut self, future: F, judge: J) -> Recorded<F, J> {
        Recorded { future: Some(future), judge: Some(judge), begins: None, polling: false, running: self.0.take() }
    }

    /// Runs an asynchronous call of a site without labels and fields: begun when it is first polled, in its place.
    #[inline]
    pub fn record<F: Future, J: FnOnce(&F::Output) -> Verdict>(
        site: &'static Site,
        future: F,
        judge: J,
    ) -> Recorded<F, J> {
        Recorded { future: Some(future), judge: Some(judge), begins: Some(site), polling: false, running: None }
    }
}

impl Drop for Operation {
    #[inline]
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            // A synchronous call is dropped by its own panic only.
            running.abandon(std::thread::panicking());
        }
    }
}

impl Running {
    /// `None` before `init`, and when no recorder is in charge.
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
        let context = recorder.inner_spans().map(|under| span::start(under, &site.spec, count, fields));
        // Last: whatever panics before it, as a field may, is no call that has begun.
        series.begin();
        Some(Self { series, started: Instant::now(), context })
    }

    /// Makes the call's span current, and its name that of the operation.
    #[inline]
    fn enter(&self) -> Inside {
        Inside { _span: self.context.clone().map(Context::attach), _operation: current::enter(self.series.spec.name) }
    }

    fn end(self, verdict: Verdict) {
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let sampled = self.context.as_ref().and_then(recorder::sampled);
        self.series.end(verdict, duration, sampled, now);
        self.say(verdict, duration);
        if let (Some(context), Some(_)) = (&self.context, sampled) {
            span::end(context, verdict);
        }
    }

    #[cold]
    fn abandon(self, panicked: bool) {
        self.end(if panicked { Verdict::PANICKED } else { Verdict::CANCELLED });
    }

    /// The closing line; its level is the verdict's.
    #[inline]
    fn say(&self, Verdict { class, code }: Verdict, duration: Duration) {
        macro_rules! line {
            ($level:ident) => {
                if tracing::event_enabled!(target: "business", tracing::Level::$level) {
                    let _inside = self.enter();
                    tracing::event!(
                        target: "business",
                        tracing::Level::$level,
                        outcome = class.as_str(),
                        code,
                        duration_ms = recorder::milliseconds(duration),
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

/// As long as it lives, what happens on this thread happens inside the call.
struct Inside {
    _span: Option<ContextGuard>,
    _operation: current::Entered,
}

pin_project! {
    /// An asynchronous call: its span is current while it is polled, and while it is dropped. Dropped before it is ready,
    /// it was cancelled or panicked.
    #[must_use = "futures do nothing unless polled"]
    pub struct Recorded<F, J> {
        // Empty only while it is dropped.
        #[pin]
        future: Option<F>,
        judge: Option<J>,
        // The site of a call that begins with the first poll.
        begins: Option<&'static Site>,
        // Whether a poll has begun and not returned: then it panicked, even where the panic was caught since.
        polling: bool,
        // `None` once the call has ended, and when it is not recorded.
        running: Option<Running>,
    }

    impl<F, J> PinnedDrop for Recorded<F, J> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running.take() {
                let inside = running.enter();
                this.future.set(None);
                drop(inside);
                running.abandon(*this.polling);
            }
        }
    }
}

impl<F, J> std::fmt::Debug for Recorded<F, J> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Recorded")
    }
}

impl<F: Future, J: FnOnce(&F::Output) -> Verdict> Future for Recorded<F, J> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Pending;
        };
        if let Some(site) = this.begins.take() {
            *this.running = Running::begin(site, &(), 0, |_| {});
        }
        let inside = this.running.as_ref().map(Running::enter);
        *this.polling = true;
        let polled = future.poll(task);
        *this.polling = false;
        let value = ready!(polled);
        drop(inside);
        if let (Some(running), Some(judge)) = (this.running.take(), this.judge.take()) {
            running.end(judge(&value));
        }
        Poll::Ready(value)
    }
}
