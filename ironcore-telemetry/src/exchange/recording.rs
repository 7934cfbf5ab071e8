//! The recording of one exchange: its span, the in-flight gauge, its one end.

use super::classify::{Classify, End};
use super::scope::Scope;
use crate::guarded::Guard;
use crate::propagation;
use crate::recorder::Recorder;
use crate::trace_ids;
use bytes::Buf;
use http::{HeaderMap, Response, header};
use http_body::Body;
use opentelemetry::trace::SpanBuilder;
use opentelemetry::{Context, ContextGuard};
use std::time::Instant;

/// An exchange that has begun. Dropped before its end, it was cancelled or has panicked.
pub(crate) struct Recording<C: Classify> {
    /// `None` once the end is recorded.
    started: Option<Instant>,
    scope: Scope,
    classify: C,
    /// Whether the response's headers tell the caller the ids of the span.
    sends_trace_response: bool,
    /// Bytes of the response's body that are still to come, [`UNKNOWN`] if its length is not known: a server takes no
    /// more, and does not ask for the end.
    left: u64,
}

/// The length of a body that does not tell it.
const UNKNOWN: u64 = u64::MAX;

impl<C: Classify> Recording<C> {
    /// Of a request that the service has received, with a span of this name and description below `parent`.
    #[inline]
    pub(crate) fn received(
        recorder: &Recorder,
        parent: &Context,
        classify: C,
        sends_trace_response: bool,
        (name, mut describe): (&str, impl FnMut() -> SpanBuilder),
    ) -> Self {
        let context = recorder.spans()(parent, name, &mut describe);
        let scope = Scope { context, owns_span: true };
        Self::begin(scope, classify, sends_trace_response)
    }

    /// Of a request that the service sends, with a span of this name and description below the current one.
    #[inline]
    pub(crate) fn sent(
        recorder: &Recorder,
        classify: C,
        (name, mut describe): (&str, impl FnMut() -> SpanBuilder),
    ) -> Self {
        let scope = match recorder.inner_spans() {
            Some((start_span, parent)) => Scope { context: start_span(&parent, name, &mut describe), owns_span: true },
            None => Scope { context: Context::current(), owns_span: false },
        };
        Self::begin(scope, classify, false)
    }

    #[inline]
    fn begin(scope: Scope, classify: C, sends_trace_response: bool) -> Self {
        classify.series().begin();
        Self { started: Some(Instant::now()), scope, classify, sends_trace_response, left: UNKNOWN }
    }

    pub(crate) const fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) const fn classify(&self) -> &C {
        &self.classify
    }

    /// The head of the response has arrived. Returns whether the response has no body, so that this was the end.
    #[inline]
    pub(super) fn response<B: Body>(&mut self, response: &mut Response<B>) -> bool {
        let is_bodiless = self.classify.response(response.status(), response.headers());
        if self.sends_trace_response {
            propagation::inject_response(&self.scope.context, response.headers_mut());
        }
        if is_bodiless || response.body().is_end_stream() {
            return true;
        }
        self.left = length_of(response).unwrap_or(UNKNOWN);
        false
    }

    #[inline]
    pub(super) fn data(&mut self, data: &impl Buf) {
        if self.left != UNKNOWN {
            self.left = self.left.saturating_sub(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
        }
        self.classify.data(&self.scope, data);
    }

    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        self.classify.trailers(trailers);
    }

    pub(super) fn error<E: 'static>(&mut self, error: &E) {
        self.classify.error(error);
    }

    /// Records the end; a later one is ignored.
    pub(super) fn finish(&mut self, end: End) {
        let Some(started) = self.started.take() else {
            return;
        };
        let now = Instant::now();
        let duration = now.saturating_duration_since(started);
        let result = self.classify.result(&self.scope, end, duration);
        let sampled = trace_ids::sampled(&self.scope.context);
        self.classify.series().end(result, duration, sampled, now);
        self.classify.log(&self.scope, end, result, duration);
        if self.scope.owns_span && sampled.is_some() {
            self.classify.end_span(&self.scope, end, result);
        }
    }
}

impl<C: Classify> Guard for Recording<C> {
    type Entered = ContextGuard;

    #[inline]
    fn enter(&self) -> ContextGuard {
        self.scope.enter()
    }

    fn abandon(mut self, panicked: bool) {
        let end = match self.left {
            _ if panicked => End::Panicked,
            0 => End::Complete,
            _ => C::dropped(),
        };
        self.finish(end);
    }
}

impl<C: Classify> Drop for Recording<C> {
    fn drop(&mut self) {
        self.finish(C::dropped());
    }
}

/// The length of a body, if the body or its header tells it.
#[inline]
fn length_of<B: Body>(response: &Response<B>) -> Option<u64> {
    response.body().size_hint().exact().or_else(|| {
        let length = response.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    })
}
