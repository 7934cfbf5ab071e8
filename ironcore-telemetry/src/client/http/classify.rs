//! One HTTP request that the service sends.

use super::json_rpc::JsonRpc;
use super::series::{self, ClientResult};
use crate::exchange::{CallSeries, Classify, End, Recording, Scope};
use crate::names::attribute;
use crate::protocol::http::{self as protocol, MethodLabel, StatusLabel};
use crate::recorder;
use bytes::Buf;
use http::{HeaderMap, Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Attributes that a request may have, from its start to its end.
const ATTRIBUTES: usize = 10;

/// Counts how often a request is sent, for `http.request.resend_count`. Put one into the extensions of a request in
/// front of a layer that retries, which passes it on with each copy.
///
/// ```
/// use ironcore_telemetry::client::Resends;
///
/// let mut request = http::Request::get("http://ledger.internal/balance").body(()).unwrap();
/// request.extensions_mut().insert(Resends::default());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Resends(Arc<AtomicU32>);

/// A request that was sent and whose response has not ended.
pub struct HttpClientRequest {
    calls: &'static CallSeries<ClientResult>,
    is_head: bool,
    /// `None` as long as there is no response.
    status: Option<StatusCode>,
}

/// What is recorded of a request as it is sent.
pub(super) struct Outgoing<'request> {
    pub(super) peer: &'static str,
    pub(super) method: &'request Method,
    pub(super) scheme: Option<&'request str>,
    /// The host, if it is one that was declared.
    pub(super) declared_host: Option<&'request Arc<str>>,
    pub(super) resends: Option<&'request Resends>,
    pub(super) rpc: Option<JsonRpc>,
}

impl HttpClientRequest {
    /// The recording of a request; `None` before `init` and when telemetry is disabled.
    #[inline]
    pub(super) fn begin(request: &Outgoing<'_>) -> Option<Recording<Self>> {
        let recorder = recorder::active()?;
        let method = MethodLabel::of(request.method);
        let resends = request.resends.map_or(0, |resends| resends.0.fetch_add(1, Ordering::Relaxed));
        let calls = series::calls(recorder, request.peer, method);
        if method.is_other() {
            calls.count_overflow("method");
        }
        let classify = Self { calls, is_head: request.method == Method::HEAD, status: None };
        let span = (span_name(request, method), || describe(request, method, resends));
        Some(Recording::sent(recorder, classify, span))
    }
}

impl Classify for HttpClientRequest {
    type Result = ClientResult;

    #[inline]
    fn series(&self) -> &'static CallSeries<ClientResult> {
        self.calls
    }

    #[inline]
    fn response(&mut self, status: StatusCode, _: &HeaderMap) -> bool {
        self.status = Some(status);
        self.is_head || matches!(status.as_u16(), 100..=199 | 204 | 304)
    }

    #[inline]
    fn data(&mut self, _: &Scope, _: &impl Buf) {}

    #[inline]
    fn result(&mut self, _: &Scope, end: End, _: Duration) -> ClientResult {
        match (end, self.status) {
            // A service that has seen the status may drop the rest of the body.
            (End::Complete | End::Cancelled, Some(status)) => {
                let status = StatusLabel::of(status.as_u16());
                if status == StatusLabel::Other {
                    self.calls.count_overflow("status");
                }
                ClientResult::Status(status)
            }
            (End::Complete | End::Cancelled, None) => ClientResult::Cancelled,
            (End::Failed | End::Broken | End::Panicked, _) => ClientResult::Error,
        }
    }

    #[inline]
    fn end_span(&self, scope: &Scope, end: End, _: ClientResult) {
        let error: Option<Cow<'static, str>> = match (end, self.status) {
            (End::Complete | End::Cancelled, Some(status)) => {
                (status.as_u16() >= 400).then(|| status.as_str().to_owned().into())
            }
            // The service itself gave it up: the span of the operation around it says what that means.
            (End::Complete | End::Cancelled, None) => None,
            (End::Failed, _) => Some("no_response".into()),
            (End::Broken, _) => Some("response_body".into()),
            (End::Panicked, _) => Some("panic".into()),
        };
        let is_error = error.is_some();
        scope.end_span(self.status.map(protocol::status_attribute), error, is_error);
    }
}

fn span_name(request: &Outgoing<'_>, method: MethodLabel) -> &'static str {
    match request.rpc {
        Some(JsonRpc { method }) => method.unwrap_or("jsonrpc"),
        None => method.span_name(),
    }
}

/// The span of a request, as it starts. Neither its own host nor its path: providers of nodes put keys into both.
fn describe(request: &Outgoing<'_>, method: MethodLabel, resends: u32) -> SpanBuilder {
    let mut attributes = Vec::with_capacity(ATTRIBUTES);
    attributes.push(KeyValue::new(attribute::HTTP_METHOD, method.label()));
    attributes.push(KeyValue::new(attribute::PEER_NAME, request.peer));
    attributes.push(match request.declared_host {
        Some(host) => KeyValue::new(attribute::SERVER_ADDRESS, Arc::clone(host)),
        None => KeyValue::new(attribute::SERVER_ADDRESS, request.peer),
    });
    match request.scheme {
        Some("https") => attributes.push(KeyValue::new(attribute::URL_SCHEME, "https")),
        Some("http") => attributes.push(KeyValue::new(attribute::URL_SCHEME, "http")),
        _ => {}
    }
    if resends > 0 {
        attributes.push(KeyValue::new(attribute::RESEND_COUNT, i64::from(resends)));
    }
    if let Some(JsonRpc { method }) = request.rpc {
        attributes.push(KeyValue::new(attribute::RPC_SYSTEM, "jsonrpc"));
        attributes.extend(method.map(|method| KeyValue::new(attribute::RPC_METHOD, method)));
    }
    SpanBuilder {
        name: Cow::Borrowed(span_name(request, method)),
        span_kind: Some(SpanKind::Client),
        attributes: Some(attributes),
        ..SpanBuilder::default()
    }
}
