//! The saved context of a job that waits outside of the process.

use crate::guarded::{Guard, Guarded};
use crate::names::attribute;
use crate::propagation::TraceContextPropagator;
use crate::recorder;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard, KeyValue};
use pin_project_lite::pin_project;
use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The version of the text.
const VERSION: &str = "1";
/// The longest text that is read, in bytes: twice the longest that is written.
const LENGTH: usize = 2_200;

/// The trace that a job comes from, and the time when the job was created. It is stored as a text of at most 1,100
/// visible characters, `1;<milliseconds since 1970>;<traceparent>;<tracestate>`, in a column or a field of the job. It
/// holds no baggage.
///
/// Read it from your own queue only: the text decides which trace the job continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedContext {
    since: Duration,
    /// In the format of W3C trace context, as `state` is; both are empty if there was no trace.
    parent: String,
    state: String,
}

/// The text is not a [`SavedContext`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a saved trace context: {0}; it is written as 1;<milliseconds since 1970>;<traceparent>;<tracestate>")]
pub struct SavedContextError(&'static str);

impl SavedContext {
    /// Saves the current context; the age counts from now.
    #[must_use]
    pub fn current() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // To the millisecond, the precision of the text.
        let millis = u64::try_from(now.unwrap_or_default().as_millis());
        Self::of(&Context::current(), Duration::from_millis(millis.unwrap_or(u64::MAX)))
    }

    fn of(context: &Context, since: Duration) -> Self {
        let mut headers: HashMap<String, String> = HashMap::new();
        TraceContextPropagator.inject_context(context, &mut headers);
        let mut take = |name| headers.remove(name).unwrap_or_default();
        Self { since, parent: take("traceparent"), state: take("tracestate") }
    }

    /// An attempt at the job, counted from 1 (add one if your queue counts from 0). The first attempt continues the
    /// saved trace; a later one begins a trace of its own with a link to the saved one.
    pub const fn attempt(&self, number: u32) -> Attempt<'_> {
        Attempt { saved: self, number }
    }

    /// The time since the context was saved; zero if the clock says that it is in the future.
    #[must_use]
    pub fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().saturating_sub(self.since)
    }

    /// The saved context; an empty one if there was no trace.
    fn origin(&self) -> Context {
        let headers = HashMap::from([
            ("traceparent".to_owned(), self.parent.clone()),
            ("tracestate".to_owned(), self.state.clone()),
        ]);
        let here = recorder::empty_context(&Context::current());
        TraceContextPropagator.extract_with_context(&here, &headers)
    }
}

impl fmt::Display for SavedContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.as_millis();
        write!(formatter, "{VERSION};{since};{};{}", self.parent, self.state)
    }
}

impl FromStr for SavedContext {
    type Err = SavedContextError;

    fn from_str(text: &str) -> Result<Self, SavedContextError> {
        if text.len() > LENGTH {
            return Err(SavedContextError("it is too long"));
        }
        let mut parts = text.splitn(4, ';');
        let mut next = || parts.next().ok_or(SavedContextError("a part is missing"));
        if next()? != VERSION {
            return Err(SavedContextError("its version is not 1"));
        }
        let since = next()?.parse().map_err(|_| SavedContextError("its time is not a number"))?;
        let read = Self { since: Duration::from_millis(since), parent: next()?.to_owned(), state: next()?.to_owned() };
        // Kept in the form that the propagator writes: anything else in the text is dropped.
        let kept = Self::of(&read.origin(), read.since);
        if kept.parent.is_empty() && !read.parent.is_empty() {
            return Err(SavedContextError("its traceparent is not valid"));
        }
        Ok(kept)
    }
}

/// An attempt at a job: a consumer span with the attributes `ironcore.attempt` and `ironcore.age_seconds`, from the
/// call of one of its methods to the end of the job. It does not record whether the job succeeded: call a function with
/// [`#[instrument_business]`](crate::instrument_business) inside.
#[derive(Debug, Clone, Copy)]
#[must_use = "run the job with it"]
pub struct Attempt<'saved> {
    saved: &'saved SavedContext,
    number: u32,
}

impl Attempt<'_> {
    /// Runs the job in a span with this name, which says what kind of job it is: `outbox.publish`.
    pub fn call<R>(&self, name: &'static str, job: impl FnOnce() -> R) -> R {
        let span = self.begin(name);
        let current = span.context.clone().attach();
        let value = job();
        drop(current);
        span.end();
        value
    }

    /// As [`call`](Self::call), for a job that is a future.
    pub fn run<F: Future>(&self, name: &'static str, job: F) -> AttemptFuture<F> {
        let span = self.begin(name);
        AttemptFuture { guarded: Guarded::new(job, Some(span)) }
    }

    fn begin(&self, name: &'static str) -> AttemptSpan {
        let Some(recorder) = recorder::active() else {
            // Telemetry is off: the ids of the origin still reach the log lines.
            return AttemptSpan { context: self.saved.origin(), is_open: false };
        };
        let origin = self.saved.origin();
        let comes_from = origin.span().span_context().clone();
        let is_retry = self.number > 1;
        let parent = if is_retry { recorder::empty_context(&origin) } else { origin };
        let context = recorder.spans()(&parent, name, &mut || {
            let link = (is_retry && comes_from.is_valid()).then(|| vec![Link::with_context(comes_from.clone())]);
            SpanBuilder {
                name: name.into(),
                span_kind: Some(SpanKind::Consumer),
                attributes: Some(vec![
                    KeyValue::new(attribute::ATTEMPT, i64::from(self.number)),
                    KeyValue::new(attribute::AGE, self.saved.age().as_secs_f64()),
                ]),
                links: link,
                ..SpanBuilder::default()
            }
        });
        AttemptSpan { context, is_open: true }
    }
}

/// The span of an attempt. Dropped before its end, the job was cancelled or has panicked.
struct AttemptSpan {
    context: Context,
    is_open: bool,
}

impl AttemptSpan {
    fn end(mut self) {
        self.finish(None);
    }

    fn finish(&mut self, error: Option<&'static str>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let span = self.context.span();
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Guard for AttemptSpan {
    type Entered = ContextGuard;

    fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    fn abandon(mut self, panicked: bool) {
        if panicked {
            self.finish(Some("panic"));
        }
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        self.finish(Some(if std::thread::panicking() { "panic" } else { "cancelled" }));
    }
}

pin_project! {
    /// An attempt that runs. If it is dropped before its end, its span has `error.type="cancelled"`.
    #[must_use = "futures do nothing unless polled"]
    pub struct AttemptFuture<F> {
        #[pin]
        guarded: Guarded<F, AttemptSpan>,
    }
}

impl<F> fmt::Debug for AttemptFuture<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AttemptFuture")
    }
}

impl<F: Future> Future for AttemptFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut guarded = self.project().guarded;
        let value = ready!(guarded.as_mut().poll_inside(|job| job.poll(task)));
        if let Some(span) = guarded.finish() {
            span.end();
        }
        Poll::Ready(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_written_can_be_read() {
        for text in [
            "1;1764000000000;;",
            "1;1764000000000;00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03;",
            "1;0;00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00;a=1;2,b@c=x",
        ] {
            assert_eq!(text.parse::<SavedContext>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_not_a_saved_context_is_an_error_that_shows_the_format() {
        for (text, why) in [
            ("", "version"),
            ("2;1;;", "version"),
            ("1", "missing"),
            ("1;1;", "missing"),
            ("1;now;;", "time"),
            ("1;-1;;", "time"),
            ("1;1;00-0-0-01;", "traceparent"),
            ("1;1;00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", "missing"),
        ] {
            let error = text.parse::<SavedContext>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("1;<milli"), "{text}: {error}");
        }
        let long = format!("1;1;;{}", "x".repeat(3_000));
        assert!(long.parse::<SavedContext>().is_err());
    }

    #[test]
    fn a_context_saved_outside_of_a_trace_has_an_age_and_no_parent() {
        let saved = SavedContext::current();
        assert!(saved.age() < Duration::from_mins(1));
        assert!(!saved.origin().span().span_context().is_valid());
        assert_eq!(saved.to_string().parse(), Ok(saved));
    }
}
