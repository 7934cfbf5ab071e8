//! One HTTP request that the service sends.

use super::series::{self, CANCELLED, ERROR};
use super::targets::Targets;
use crate::names::attribute;
use crate::recorder::{self, Closed, Recorder};
use crate::wire::{self, CallSeries, End, Exchange};
use bytes::Buf;
use http::{HeaderMap, Method, Request, Response};
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Attributes that a request may have, from its start to its end.
const ATTRIBUTES: usize = 7;

/// Counts how often a request is sent, for `http.request.resend_count`: put one into the extensions of a request before a
/// layer that retries, which hands it on with each copy.
///
/// ```
/// use ironcore_telemetry::Resends;
///
/// let mut request = http::Request::get("http://ledger.internal/balance").body(()).unwrap();
/// request.extensions_mut().insert(Resends::default());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Resends(Arc<AtomicU32>);

/// A request that was sent and whose response has not ended.
pub struct HttpClientExchange {
    started: Instant,
    recorder: &'static Recorder,
    calls: &'static CallSeries,
    context: Context,
    /// Whether the span of the context is the request's own.
    has_span: bool,
    is_head: bool,
    /// Zero as long as there is no response.
    status: u16,
    ended: bool,
}

impl HttpClientExchange {
    /// The request's record, and its context in its headers where the peer may have it; `None` before `init` and when
    /// telemetry is disabled.
    pub(super) fn begin<Body>(request: &mut Request<Body>, peer: &'static str, targets: &Targets) -> Option<Self> {
        if recorder::is_off() {
            return None;
        }
        let recorder = recorder::current()?;
        let method = wire::method_index(request.method());
        if method.is_other() {
            recorder::overflow(recorder.registry, Closed::HttpClientMethod);
        }
        let resends =
            request.extensions().get::<Resends>().map_or(0, |resends| resends.0.fetch_add(1, Ordering::Relaxed));
        let span = recorder
            .inner_spans()
            .map(|(start_span, parent)| start_span(&parent, &mut || describe(request, peer, method, resends)));
        let has_span = span.is_some();
        let context = span.unwrap_or_else(Context::current);
        let is_target = targets.include(request.uri());
        targets.replace_context(is_target, &context, request.headers_mut());
        let calls = series::calls(recorder, peer, method);
        calls.begin();
        Some(Self {
            started: Instant::now(),
            recorder,
            calls,
            context,
            has_span,
            is_head: request.method() == Method::HEAD,
            status: 0,
            ended: false,
        })
    }

    fn finish(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let duration = now.saturating_duration_since(self.started);
        let result = match end {
            // Whoever has seen the status may not want the body.
            End::Complete | End::Cancelled if self.status != 0 => wire::closed_status(self.status),
            End::Complete | End::Cancelled => CANCELLED,
            End::Failed | End::Broken | End::Panicked => ERROR,
        };
        if wire::is_other_status(result) {
            recorder::overflow(self.recorder.registry, Closed::HttpClientStatus);
        }
        let sampled = recorder::sampled(&self.context);
        self.calls.end(result, duration, sampled, now);
        if self.has_span && sampled.is_some() {
            self.end_span(end);
        }
    }

    fn end_span(&self, end: End) {
        let error: Option<Cow<'static, str>> = match end {
            End::Complete | End::Cancelled if self.status >= 400 => Some(self.status.to_string().into()),
            End::Complete => None,
            End::Cancelled if self.status != 0 => None,
            End::Cancelled => Some("cancelled".into()),
            End::Failed => Some("no_response".into()),
            End::Broken => Some("response_body".into()),
            End::Panicked => Some("panic".into()),
        };
        let is_error = error.is_some() && (end != End::Cancelled || self.status != 0);
        let status = wire::status_attribute(self.status);
        wire::end_span(&self.context, status, error, is_error);
    }
}

impl Exchange for HttpClientExchange {
    fn context(&self) -> &Context {
        &self.context
    }

    fn answered<B>(&mut self, response: &mut Response<B>) -> bool {
        self.status = response.status().as_u16();
        self.is_head || matches!(self.status, 100..=199 | 204 | 304)
    }

    fn data(&mut self, _: &impl Buf) {}

    fn trailers(&mut self, _: &HeaderMap) {}

    fn end(mut self, end: End) {
        self.finish(end);
    }
}

impl Drop for HttpClientExchange {
    fn drop(&mut self) {
        self.finish(Self::dropped());
    }
}

/// The span of a request, as it starts. Neither host nor path: providers of nodes put keys into both.
fn describe<Body>(request: &Request<Body>, peer: &'static str, method: wire::MethodIndex, resends: u32) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::HTTP_METHOD, method.label()));
    attributes.push(KeyValue::new(attribute::PEER_NAME, peer));
    match request.uri().scheme_str() {
        Some("https") => attributes.push(KeyValue::new(attribute::URL_SCHEME, "https")),
        Some("http") => attributes.push(KeyValue::new(attribute::URL_SCHEME, "http")),
        _ => {}
    }
    if resends > 0 {
        attributes.push(KeyValue::new(attribute::RESEND_COUNT, i64::from(resends)));
    }
    SpanBuilder {
        name: Cow::Borrowed(method.shown()),
        span_kind: Some(SpanKind::Client),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    }
}
